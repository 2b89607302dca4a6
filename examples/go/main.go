// An app behind Gatekeep that checks who is asking by itself, with the published keys.
//
//	PORT=8080 GATEKEEP_ISSUER=https://auth.example.com \
//		GATEKEEP_AUDIENCE=https://app.example.com go run .
//
// The issuer is the gateway's public_url, the audience the app's own origin (or its route's
// token.audience).
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
	"github.com/go-jose/go-jose/v4/jwt"
)

var issuer, audience = os.Getenv("GATEKEEP_ISSUER"), os.Getenv("GATEKEEP_AUDIENCE")

type visitor struct {
	jwt.Claims
	Login string `json:"login"`
}

// identify returns the claims of a token that is all it should be. The algorithm and the kind of
// token are ours to choose, never the token's (RFC 8725).
func identify(text string) (who visitor, err error) {
	token, err := jwt.ParseSigned(text, []jose.SignatureAlgorithm{jose.ES256})
	if err != nil {
		return who, err
	}
	if token.Headers[0].ExtraHeaders["typ"] != "gatekeep-identity+jwt" {
		return who, errors.New("the token is of another kind")
	}
	if err := token.Claims(key(token.Headers[0].KeyID), &who); err != nil {
		return who, err
	}
	if who.Expiry == nil || who.Subject == "" {
		return who, errors.New("the token lacks a claim")
	}
	expected := jwt.Expected{Issuer: issuer, AnyAudience: jwt.Audience{audience}, Time: time.Now()}
	return who, who.ValidateWithLeeway(expected, 0)
}

// The published keys are kept for five minutes, and for a kid among none of them they are fetched
// again, once a minute at most.
var published struct {
	sync.Mutex
	jose.JSONWebKeySet
	asked time.Time
}

func key(kid string) any {
	published.Lock()
	defer published.Unlock()
	age := time.Since(published.asked)
	if age > 5*time.Minute || (len(published.Key(kid)) == 0 && age > time.Minute) {
		published.asked = time.Now()
		client := http.Client{Timeout: 5 * time.Second}
		if answer, err := client.Get(issuer + "/.well-known/jwks.json"); err != nil {
			log.Print("no keys: ", err)
		} else {
			defer answer.Body.Close()
			var set jose.JSONWebKeySet
			if json.NewDecoder(answer.Body).Decode(&set) == nil {
				published.JSONWebKeySet = set
			}
		}
	}
	if found := published.Key(kid); len(found) == 1 {
		return found[0]
	}
	return nil // nothing is signed with it
}

func main() {
	http.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		who, err := identify(r.Header.Get("X-Gatekeep-Jwt"))
		if err != nil {
			log.Print("refused: ", err)
			http.Error(w, "unauthorized", http.StatusUnauthorized)
			return
		}
		// The subject is the account and stays the same; a login can be renamed.
		fmt.Fprintf(w, "Hello %s, you are %s.\n", who.Login, who.Subject)
	})
	log.Fatal(http.ListenAndServe("127.0.0.1:"+os.Getenv("PORT"), nil))
}
