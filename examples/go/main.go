// An app behind Gatekeep that checks who is asking by itself, with the published keys.
//
//	PORT=8080 GATEKEEP_ISSUER=https://auth.example.com \
//		GATEKEEP_AUDIENCE=https://app.example.com go run .
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/golang-jwt/jwt/v5"
)

// The gateway's public_url, and the app's own origin (or its route's token.audience).
var issuer, audience = os.Getenv("GATEKEEP_ISSUER"), os.Getenv("GATEKEEP_AUDIENCE")

var published struct {
	sync.Mutex
	jose.JSONWebKeySet
	asked time.Time
}

// Published keys are kept for five minutes; for a kid among none of them they are fetched again, once
// a minute at most.
func key(token *jwt.Token) (any, error) {
	kid, _ := token.Header["kid"].(string)
	published.Lock()
	defer published.Unlock()
	age := time.Since(published.asked)
	if age > 5*time.Minute || (len(published.Key(kid)) == 0 && age > time.Minute) {
		published.asked = time.Now()
		client := http.Client{Timeout: 5 * time.Second}
		if answer, err := client.Get(issuer + "/.well-known/jwks.json"); err == nil {
			defer answer.Body.Close()
			json.NewDecoder(answer.Body).Decode(&published.JSONWebKeySet)
		}
	}
	if found := published.Key(kid); len(found) == 1 && token.Header["typ"] == "gatekeep-identity+jwt" {
		return found[0].Key, nil
	}
	return nil, errors.New("no published key signs such tokens")
}

func main() {
	// The algorithm and the kind of token are ours to choose, never the token's (RFC 8725).
	expected := jwt.NewParser(jwt.WithValidMethods([]string{"ES256"}), jwt.WithExpirationRequired(),
		jwt.WithIssuer(issuer), jwt.WithAudience(audience))
	http.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		who := jwt.MapClaims{}
		if _, err := expected.ParseWithClaims(r.Header.Get("X-Gatekeep-Jwt"), who, key); err != nil {
			http.Error(w, "unauthorized", http.StatusUnauthorized)
			return
		}
		// `sub` is the account and stays the same; a login can be renamed.
		fmt.Fprintf(w, "Hello %s, you are %s.\n", who["login"], who["sub"])
	})
	log.Fatal(http.ListenAndServe("127.0.0.1:"+os.Getenv("PORT"), nil))
}
