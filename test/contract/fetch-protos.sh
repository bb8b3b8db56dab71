#!/bin/sh
# Downloads the Debian packages which publish the .proto files that vigil must agree with, and unpacks them.
#
#   fetch-protos.sh SUITE PACKAGE...    prints one line a package: SUITE PACKAGE VERSION FOLDER
#
# A suite other than the machine's own is read through a private apt configuration: archive address and key are taken
# from the machine's own apt sources, and lists and downloads stay below .cache/, so the machine's apt is not touched.
set -eu

suite=$1
shift
cache=$(CDPATH= cd -- "$(dirname -- "$0")/../.." && pwd)/.cache/protos
etc=$cache/apt/$suite
mkdir -p "$etc/lists/partial" "$etc/archives/partial" "$cache/packages"

# The archive of the machine's own Debian sources; security and update archives carry no other suite.
archive=$(apt-get indextargets --format '$(REPO_URI)|$(ORIGIN)|$(LABEL)' 'Created-By: Packages' |
        awk -F'|' '$2 == "Debian" && $3 == "Debian" { print $1; exit }')
if [ -z "$archive" ]; then
        echo "fetch-protos: no Debian archive among this machine's apt sources; run 'apt-get update' first" >&2
        exit 1
fi
key=$(ls /usr/share/keyrings/debian-archive-keyring.gpg /usr/share/keyrings/debian-archive-keyring.pgp 2>/dev/null | head -n 1)
printf 'deb %s%s %s main\n' "${key:+[signed-by=$key] }" "$archive" "$suite" >"$etc/sources.list"

apt_private() {
        command=$1
        shift
        "$command" -o Dir::Etc::SourceList="$etc/sources.list" -o Dir::Etc::SourceParts=/dev/null \
                -o Dir::State::Lists="$etc/lists" -o Dir::Cache::Archives="$etc/archives" \
                -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache= -o APT::Sandbox::User=root \
                -o Acquire::Languages=none -o Acquire::IndexTargets::deb::Contents-deb::DefaultEnabled=false "$@"
}

# Package lists older than a day are read again.
if [ -z "$(find "$etc/lists" -maxdepth 1 -name '*Packages*' -mtime -1 2>/dev/null)" ]; then
        apt_private apt-get -qq update >&2
fi
for package in "$@"; do
        version=$(apt_private apt-cache policy "$package" | awk '/Candidate:/ { print $2 }')
        if [ -z "$version" ] || [ "$version" = "(none)" ]; then
                echo "fetch-protos: suite $suite has no package $package" >&2
                exit 1
        fi
        folder=$cache/packages/$package-$(printf %s "$version" | tr ':~' '__')
        if [ ! -d "$folder" ]; then
                rm -rf "$folder.partial"
                mkdir -p "$folder.partial"
                (cd "$folder.partial" && apt_private apt-get -qq download "$package=$version" >&2)
                for deb in "$folder.partial"/*.deb; do
                        dpkg-deb --fsys-tarfile "$deb" | tar -x -C "$folder.partial" --wildcards './usr/*.proto' ||
                                { echo "fetch-protos: $package $version has no .proto file" >&2; exit 1; }
                        rm "$deb"
                done
                mv "$folder.partial" "$folder"
        fi
        echo "$suite $package $version $folder"
done
