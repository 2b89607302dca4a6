# shellcheck shell=bash
# What the scripts share: they run from the top of the repository, and fetch the tools they lack.
# Sourced, not run.

cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit

say() { printf '%s\n' "$*"; }
heading() { printf '\n== %s\n' "$*"; }
fail() { printf 'error: %s\n' "$*" >&2; exit 1; }

# need COMMAND WHY: makes sure that COMMAND is there, by the system's package manager where it is not.
need() {
  command -v "$1" >/dev/null && return
  install_package "$1" "$2" || fail "$1 is missing ($2). Install it by hand and run this again."
  command -v "$1" >/dev/null || fail "$1 is still missing after installing its package ($2)."
}

# want COMMAND WHY: like need, but goes on without; false when COMMAND cannot be had.
want() {
  command -v "$1" >/dev/null && return
  install_package "$1" "$2" && command -v "$1" >/dev/null
}

need_rust() {
  command -v cargo >/dev/null || fail "Rust is missing (cargo builds Gatekeep). Install it from https://rustup.rs and run this again."
}

# What building takes besides Rust.
need_build_tools() {
  need_rust
  need cc "ring, mimalloc and zlib contain C code"
  need make "cmake calls it"
  need cmake "Pingora's zlib build needs it"
}

# === packages ===

install_package() { # COMMAND WHY
  local manager packages
  manager=$(package_manager) || return
  packages=$(packages_for "$1" "$manager")
  as_root "$manager" || return
  say "Installing $packages ($2) with $manager …"
  # shellcheck disable=SC2086 # one word per package
  install_with "$manager" $packages
}

package_manager() {
  local manager
  for manager in brew apt-get dnf pacman apk zypper; do
    command -v "$manager" >/dev/null && { say "$manager"; return; }
  done
  say "No package manager that this script knows (apt-get, dnf, pacman, apk, zypper, brew)." >&2
  return 1
}

# The packages of a command; a package is named like its command unless it stands here.
packages_for() { # COMMAND MANAGER
  case "$1 $2" in
    "cc apt-get") say gcc libc6-dev ;;
    "cc apk") say gcc musl-dev ;;
    "cc "*) say gcc ;;
    "chromedriver apt-get") say chromium-driver ;;
    "chromedriver apk") say chromium-chromedriver ;;
    "chromedriver pacman") say chromium ;;
    "node apt-get" | "node dnf" | "node apk" | "node pacman" | "node zypper") say nodejs ;;
    "npm brew") say node ;;
    "gh apk" | "gh pacman") say github-cli ;;
    "redis-server apt-get") say redis-server ;;
    "redis-server "*) say redis ;;
    "python3 pacman" | "python3 brew") say python ;;
    *) say "$1" ;;
  esac
}

# Puts what is needed to become root into $sudo; false when there is no way.
as_root() { # MANAGER
  sudo=()
  if [[ $1 == brew || $EUID -eq 0 ]]; then return; fi
  if ! command -v sudo >/dev/null; then
    say "Installing with $1 takes root, and there is no sudo here." >&2
    return 1
  fi
  sudo=(sudo)
  if ! [[ -t 0 ]]; then sudo+=(--non-interactive); fi # nobody there to type a password
}

install_with() { # MANAGER PACKAGE…
  local manager=$1
  shift
  case $manager in
    brew) brew install --quiet "$@" ;;
    apt-get)
      # The lists of a fresh machine are empty or old.
      [[ -n ${lists_are_new-} ]] || "${sudo[@]}" apt-get update -qq && lists_are_new=yes
      "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get install --yes -qq --no-install-recommends "$@" </dev/null
      ;;
    dnf) "${sudo[@]}" dnf install --assumeyes --quiet "$@" ;;
    pacman) "${sudo[@]}" pacman -Sy --noconfirm --needed "$@" ;;
    apk) "${sudo[@]}" apk add --quiet "$@" ;;
    zypper) "${sudo[@]}" zypper --non-interactive --quiet install "$@" ;;
  esac
}
