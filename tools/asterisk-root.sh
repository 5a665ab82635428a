#!/bin/sh
# Get Asterisk into a private folder: download a distribution's packages and unpack them, installing
# nothing. No rights are needed, nothing of the system is changed, and no host is named here: packages
# come from where this machine's own apt gets its packages.
#
#   tools/asterisk-root.sh FOLDER
#
# The distribution's own Asterisk is taken if it is 20 or newer (Ubuntu); a Debian without one takes
# Debian testing's, from its own mirror. FOLDER appears whole or not at all; once there, it is left alone.
set -eu

version_min=20
here=$(cd "$(dirname "$0")" && pwd)

say() { printf '%s\n' "asterisk-root: $*"; }
die() { printf '%s\n' "asterisk-root: $*" >&2; exit 1; }

# -- where Asterisk comes from --------------------------------------------------------------------

# The stanza of Debian's archive in this machine's own apt sources, rewritten for another suite. Understands
# one-line and deb822 sources. Output: deb822, or nothing if there is no such source.
debian_source() { # SUITE
    # shellcheck source=/dev/null
    codename=$(. /etc/os-release && printf '%s' "${VERSION_CODENAME:-stable}")
    etc=${OBZVON_APT_ETC:-/etc/apt}
    {
        for file in "$etc"/sources.list.d/*.sources; do
            [ -f "$file" ] && { cat "$file"; printf '\n\n'; }
        done
        for file in "$etc"/sources.list "$etc"/sources.list.d/*.list; do
            [ -f "$file" ] && awk '
                $1 == "deb" {
                    line = $0; signed = ""
                    sub(/^[ \t]*deb[ \t]+/, "", line)
                    if (line ~ /^\[/) {
                        options = line
                        sub(/\].*/, "", options); sub(/^\[/, "", options)
                        sub(/^[^]]*\][ \t]*/, "", line)
                        n = split(options, option, /[ \t]+/)
                        for (i = 1; i <= n; i++)
                            if (tolower(option[i]) ~ /^signed-by=/) signed = substr(option[i], 11)
                    }
                    n = split(line, field, /[ \t]+/)
                    print "Types: deb\nURIs: " field[1] "\nSuites: " field[2] "\nComponents: " field[3]
                    if (signed != "") print "Signed-By: " signed
                    print ""
                }' "$file"
        done
    } | awk -v wanted="$1" -v codename="$codename" '
        function finish(    i, n, suite, first) {
            n = split(suites, suite, /[ \t]+/)
            for (i = 1; i <= n && !done; i++)
                if (suite[i] == codename || suite[i] ~ /^(old)*stable$/) {
                    split(uris, first, /[ \t]+/)
                    if (types ~ /(^| )deb( |$)/ && enabled !~ /^(no|false|0)$/ && first[1] !~ /security/) {
                        print "Types: deb\nURIs: " first[1] "\nSuites: " wanted "\nComponents: main"
                        print "Check-Valid-Until: no"
                        if (signed != "") print "Signed-By:" signed
                        done = 1
                    }
                }
            types = uris = suites = enabled = signed = key = ""
        }
        /^#/ { next }
        /^[ \t]*$/ { finish(); next }
        /^[ \t]/ { if (key == "signed-by") signed = signed "\n" $0; next }
        {
            key = tolower($0); sub(/:.*/, "", key)
            value = $0; sub(/^[^:]*:[ \t]*/, "", value); sub(/[ \t]+$/, "", value)
            if (key == "types") types = value
            if (key == "uris") uris = value
            if (key == "suites") suites = value
            if (key == "enabled") enabled = tolower(value)
            if (key == "signed-by") signed = " " value
        }
        END { finish() }'
}

if [ "${1:-}" = --source ]; then # for tests
    debian_source "${2:-testing}"
    exit 0
fi

target=${1:?usage: $0 FOLDER}
for tool in apt-get apt-cache apt-config dpkg-deb dpkg awk; do
    command -v "$tool" >/dev/null 2>&1 || die "needs $tool; on a system without apt, install Asterisk $version_min or newer yourself"
done

[ -x "$target/usr/sbin/asterisk" ] && exit 0
mkdir -p "$(dirname "$target")"
scratch=$(mktemp -d "$target.new.XXXXXX")
trap 'rm -rf "$scratch"' EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

# -- an apt of our own: its own lists, cache and (empty) list of installed packages ---------------

apt=$scratch/apt
mkdir -p "$apt/lists/partial" "$apt/archives/partial" "$apt/parts" "$apt/preferences" "$apt/sources"
: >"$apt/status"
: >"$apt/empty"
arch=$(dpkg --print-architecture)
{
    # How this machine reaches its mirrors (proxies, certificates, retries) stays; its hooks do not.
    apt-config dump | grep '^Acquire::' || true
    cat <<END
APT::Architecture "$arch";
APT::Architectures { "$arch"; };
APT::Install-Recommends "false";
APT::Install-Suggests "false";
APT::Get::Assume-Yes "true";
APT::Sandbox::User "$(id -un)";
Acquire::Languages "none";
Acquire::Retries "3";
Dir::State "$apt";
Dir::State::lists "$apt/lists";
Dir::State::status "$apt/status";
Dir::State::extended_states "$apt/extended_states";
Dir::Cache "$apt";
Dir::Cache::archives "$apt/archives";
Dir::Log "$apt";
Dir::Etc::main "$apt/empty";
Dir::Etc::parts "$apt/parts";
Dir::Etc::preferences "$apt/empty";
Dir::Etc::preferencesparts "$apt/preferences";
END
} >"$apt/apt.conf"

own_apt() { # COMMAND ARGUMENT...: with our state
    command=$1
    shift
    APT_CONFIG=$apt/apt.conf "$command" "$@" 2>>"$apt/said" >>"$apt/said"
}

candidate() { # stdin: apt-cache policy. The upstream version's first number of what could be installed
    awk '$1 == "Candidate:" { sub(/^[0-9]+:/, "", $2); sub(/[^0-9].*/, "", $2); print $2 }'
}

choose_source() {
    # shellcheck source=/dev/null
    id=$(. /etc/os-release && printf '%s' "${ID:-}")
    is_carried=no
    [ "$(apt-cache policy asterisk 2>/dev/null | candidate)" -ge "$version_min" ] 2>/dev/null && is_carried=yes
    if [ $is_carried = yes ] || [ "$id" != debian ]; then
        own_apt apt-get update || true
        found=$(APT_CONFIG=$apt/apt.conf apt-cache policy asterisk | candidate)
        if [ "${found:-0}" -ge "$version_min" ] 2>/dev/null; then
            say "from this distribution's own archive"
            return 0
        fi
    fi
    for suite in testing unstable; do
        debian_source "$suite" >"$apt/sources/obzvon.sources"
        [ -s "$apt/sources/obzvon.sources" ] ||
            die "this system's apt sources name no Debian archive; install Asterisk $version_min or newer yourself"
        [ $suite = testing ] && cat >>"$apt/apt.conf" <<END
Dir::Etc::sourcelist "$apt/empty";
Dir::Etc::sourceparts "$apt/sources";
END
        say "from Debian $suite, of this machine's own mirror"
        own_apt apt-get update || continue
        found=$(APT_CONFIG=$apt/apt.conf apt-cache policy asterisk | candidate)
        [ "${found:-0}" -ge "$version_min" ] 2>/dev/null && return 0
        say "Debian $suite has no Asterisk $version_min"
    done
    return 1
}

fail() {
    tail -n 15 "$apt/said" >&2
    die "$*"
}

choose_source || fail "no Asterisk $version_min was found; what apt said is above"

# -- get and unpack it ----------------------------------------------------------------------------

packages=$(sed -e 's/#.*//' -e '/^[[:space:]]*$/d' "$here/packages-asterisk.txt")
# shellcheck disable=SC2086  # a list of words
set -- $packages
say "downloading $* and what they need"
own_apt apt-get install --download-only "$@" || fail "the packages could not be downloaded; what apt said is above"
set -- "$apt"/archives/*.deb
[ -f "$1" ] || fail "apt downloaded nothing"
say "unpacking $# packages ($(du -sm "$apt/archives" | cut -f1) MB)"
root=$scratch/root
mkdir "$root"
# Four at once, each into its own place: two must not make one folder at the same time.
# shellcheck disable=SC2016  # for the inner shell to expand
printf '%s\n' "$@" | xargs -n 1 -P 4 sh -c '
    set -eu
    part=$0/part.$$
    mkdir "$part"
    dpkg-deb -x "$1" "$part"
    # /lib and /usr/lib are one, whichever of them the package was made with
    for name in bin sbin lib lib64; do
        if [ -d "$part/$name" ] && [ ! -L "$part/$name" ]; then
            mkdir -p "$part/usr/$name"
            cp -a "$part/$name/." "$part/usr/$name/"
        fi
        rm -rf "${part:?}/$name"
    done
    printf "%s\n" "$part" >"$part.done"
' "$scratch" || die "a package could not be unpacked"
for list in "$scratch"/part.*.done; do
    cp -a "$(cat "$list")/." "$root/"
    rm -rf "$(cat "$list")"
done
for name in bin sbin lib lib64; do
    if [ -d "$root/usr/$name" ]; then ln -s "usr/$name" "$root/$name"; fi
done
for folder in doc man locale info lintian bug; do
    rm -rf "${root:?}/usr/share/$folder"
done
chmod -R u+rwX "$root"
rm -f "$apt"/archives/*.deb

# -- try it, then put it in its place -------------------------------------------------------------

loader=$(find "$root" -maxdepth 3 -name 'ld-linux*.so.*' | head -n 1)
[ -n "$loader" ] || die "the dynamic loader is missing from what was unpacked"
libraries=$(find "$root/usr/lib" -maxdepth 2 -name libc.so.6 -exec dirname {} \; | head -n 1)
version=$("$loader" --library-path "$libraries:$root/usr/lib" "$root/usr/sbin/asterisk" -V) ||
    die "what was unpacked does not run"
# Another run may have been faster; its folder is as good as ours.
if mv -T "$root" "$target" 2>/dev/null; then
    say "$version is in $target"
elif [ -x "$target/usr/sbin/asterisk" ]; then
    say "$target was made meanwhile"
else
    die "$target is in the way: it is not an Asterisk, and not empty"
fi
