# A private apt configuration for another Debian suite, derived from the sources this machine already has.
# Sourced by bed.sh; needs CACHE and say().

# The first source that offers this machine's own release: its address, components and key are reused.
own_source() {
  local codename file
  codename=$(. /etc/os-release && echo "${VERSION_CODENAME:?}")
  for file in /etc/apt/sources.list.d/*.sources; do
    [ -e "$file" ] || continue
    awk -v want="$codename" '
      BEGIN { RS = ""; FS = "\n" }
      {
        uri = suites = key = ""
        for (i = 1; i <= NF; i++) {
          if ($i ~ /^URIs:/)      { split($i, part, /[ \t]+/); uri = part[2] }
          if ($i ~ /^Suites:/)    suites = " " substr($i, 8) " "
          if ($i ~ /^Signed-By:/) key = $i
        }
        if (uri != "" && suites ~ "[ \t]" want "[ \t]") { print uri; print key; exit }
      }' "$file"
  done
  [ -e /etc/apt/sources.list ] && awk -v want="$codename" '
    $1 == "deb" {
      key = ""; at = 2
      if ($2 ~ /^\[/) { while ($at !~ /\]$/) at++; opts = $0; if (match(opts, /signed-by=[^] ,]+/)) key = "Signed-By: " substr(opts, RSTART + 10, RLENGTH - 10); at++ }
      if ($(at + 1) == want) { print $at; print key; exit }
    }' /etc/apt/sources.list
  return 0
}

# apt_source SUITE: writes (once) and prints the path of a sources file for that suite.
apt_source() {
  local suite=$1 dir=$CACHE/apt/$1 uri key
  if [ ! -s "$dir/suite.sources" ]; then
    { read -r uri; read -r key || true; } < <(own_source)
    [ -n "${uri:-}" ] || { echo "bed: no Debian source for this release in /etc/apt" >&2; return 1; }
    mkdir -p "$dir/lists/partial" "$dir/archives/partial"
    printf 'Types: deb\nURIs: %s\nSuites: %s\nComponents: main\n%s\n' "$uri" "$suite" "$key" > "$dir/suite.sources"
  fi
  echo "$dir/suite.sources"
}

# suite_apt SUITE PROGRAM ARGS...: an apt program that sees that suite and nothing else.
suite_apt() {
  local suite=$1 program=$2 source; shift 2
  source=$(apt_source "$suite")
  "$program" -o Dir::Etc::SourceList="$source" -o Dir::Etc::SourceParts=/dev/null -o Dir::Etc::PreferencesParts=/dev/null \
    -o Dir::State::Lists="${source%/*}/lists" -o Dir::Cache="${source%/*}" -o Acquire::Languages=none \
    -o APT::Sandbox::User=root "$@"
}

suite_update() {
  local dir; dir=$(dirname "$(apt_source "$1")")
  [ -e "$dir/updated" ] && return 0
  say "reading the package list of $1"
  suite_apt "$1" apt-get update -qq
  touch "$dir/updated"
}

# unpack_deb SUITE PACKAGE DIR: the files of one package, no installation. The .deb stays in the cache.
unpack_deb() {
  local suite=$1 package=$2 dir=$3 debs=$CACHE/debs/$1 file
  mkdir -p "$debs" "$dir"
  file=$(find "$debs" -name "${package}_*.deb" | sort -V | tail -1)
  if [ -z "$file" ]; then
    suite_update "$suite"
    (cd "$debs" && suite_apt "$suite" apt-get download -qq "$package")
    file=$(find "$debs" -name "${package}_*.deb" | sort -V | tail -1)
  fi
  say "unpacking $(basename "$file")"
  dpkg -x "$file" "$dir"
}

# machine_packages NAME...: installs what is missing on this machine.
machine_packages() {
  local missing=() name
  for name in "$@"; do
    dpkg-query -W -f '${db:Status-Abbrev}' "$name" 2>/dev/null | grep -q '^ii' || missing+=("$name")
  done
  [ ${#missing[@]} -eq 0 ] && return 0
  say "installing ${missing[*]}"
  export DEBIAN_FRONTEND=noninteractive
  apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null 2>&1 && return 0
  apt-get update -qq
  apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}
