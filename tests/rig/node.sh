#!/bin/bash
# A node that is not ours: plays the appliance's dialogue (domain notes, sections 2 and 5) on a real
# terminal, and pushes with OpenSSH's own sftp. sshd runs it as the forced command; SetEnv gives:
#   NODE_ROOT     what activelog is on this node
#   NODE_ADDRESS  the address that stands in the folders it makes at the receiver
#   TZ            its time zone; without it the node does not say which it is
# While there is a FIFO NODE_ROOT.busy, `file get` gathers until somebody has written to it. The
# commands in NODE_ROOT.meanwhile run between the sizes and the push, in the folder that is pushed.
# NODE_SIZES is how it announces the sizes, a format of printf for files, bytes and Kbytes.
# What it prints of other commands is in files, NODE_ROOT.says/COMMAND.
# With NODE_EDITS=1 a command line is edited, and wraps at the width of the terminal.
set -u

workdir=$(mktemp -d)
trap 'rm -rf "$workdir"' EXIT
# Ctrl-C ends what runs in the foreground, as on the appliance, and comes back to the prompt.
trap 'printf "\n"' INT

banner() {
    printf 'Command Line Interface is starting up, please wait ...\n\n'
    printf '   Welcome to the Platform Command Line Interface\n\n'
    printf 'VMware Installation:\n\t2 vCPU: Intel(R) Xeon(R)\n\n'
}

# list_files SPEC WORDS...: the files that match, one a line, below NODE_ROOT.
list_files() {
    local spec=${1#/} depth=1 changed=()
    shift
    while [ $# -gt 0 ]; do
        case $1 in
            recurs) depth=99 ;;
            reltime) changed=(-mmin "-$(minutes_of "$2" "$3")"); shift 2 ;;
            abstime) changed=(-newermt "$(moment "$2")" '!' -newermt "$(moment "$3")"); shift 2 ;;
        esac
        shift
    done
    local base="$NODE_ROOT/$spec" name='*'
    [ -d "$base" ] || { name=${base##*/}; base=${base%/*}; }
    [ -d "$base" ] || return
    find -L "$base" -maxdepth "$depth" -type f -name "$name" "${changed[@]}" | sort
}

moment() { # hh:mm:MM/DD/YY, by the node's own clock
    local hour minute month day year
    IFS=:/ read -r hour minute month day year <<<"$1"
    echo "20$year-$month-$day $hour:$minute"
}

file_list() { # file_list LOCATION FOLDER detail
    local file count=0 size
    [ -d "$NODE_ROOT/$2" ] || { printf 'no such file or directory can be found\n'; return; }
    for file in "$NODE_ROOT/$2"/*; do
        [ -f "$file" ] || continue
        size=$(stat -c %s "$file" | sed ':a;s/\B[0-9]\{3\}\>/,&/;ta')
        printf '%s%13s  %s\n' "$(LC_ALL=C date -r "$file" '+%d %b,%Y %H:%M:%S')" "$size" "${file##*/}"
        count=$((count + 1))
    done
    printf 'dir count = 0, file count = %s\n' "$count"
}

minutes_of() {
    case $1 in
        minutes) echo "$2" ;;
        hours) echo $(($2 * 60)) ;;
        days) echo $(($2 * 1440)) ;;
        weeks) echo $(($2 * 10080)) ;;
        months) echo $(($2 * 43200)) ;;
    esac
}

ask() { # ask PROMPT VARIABLE
    printf '%s ' "$1"
    IFS= read -r "$2"
}

ask_secret() { # one * a character, as the appliance echoes a password
    local character
    secret=
    # Before the question: its answer may be there before `read -s` turns the echo off.
    stty -echo -icanon
    printf 'Password: '
    while IFS= read -rsn1 character && [ -n "$character" ]; do
        secret+=$character
        printf '*'
    done
    stty echo icanon
    printf '\n'
}

# make_batch LIST: sftp commands that make each folder once, then put each file.
make_batch() {
    local file relative folder made="" stamp
    stamp=$(date +%Y-%m-%d_%H-%M-%S)
    for folder in "$directory/$NODE_ADDRESS" "$directory/$NODE_ADDRESS/$stamp"; do
        printf -- '-mkdir "%s"\n' "$folder"
    done
    while IFS= read -r file; do
        relative=${file#"$NODE_ROOT"/}
        folder=$directory/$NODE_ADDRESS/$stamp
        local part
        local IFS=/
        set -f
        for part in ${relative%/*}; do
            folder=$folder/$part
            case $made in *"|$folder|"*) ;; *) printf -- '-mkdir "%s"\n' "$folder"; made="$made|$folder|" ;; esac
        done
        set +f
        printf 'put "%s" "%s"\n' "$file" "$folder/${file##*/}"
    done <"$1"
}

# pack LIST: one archive of the files, below a folder of its own, and LIST names it instead.
pack() {
    local files=$workdir/packed
    rm -rf "$files"
    mkdir "$files"
    sed "s|^$NODE_ROOT/||" "$1" | tar -czf "$files/active_1.tgz" -C "$NODE_ROOT" -T -
    printf '%s\n' "$files/active_1.tgz" >"$1"
    NODE_ROOT=$files
}

push() {
    printf '#!/bin/sh\nexec cat %q/secret\n' "$workdir" >"$workdir/askpass"
    chmod 700 "$workdir/askpass"
    (umask 077 && printf '%s\n' "$secret" >"$workdir/secret")
    make_batch "$1" >"$workdir/batch"
    SSH_ASKPASS=$workdir/askpass SSH_ASKPASS_REQUIRE=force DISPLAY=none \
        sftp -q -oBatchMode=no -b "$workdir/batch" -P "$port" \
        -oStrictHostKeyChecking=no -oUserKnownHostsFile="$workdir/known" -oLogLevel=ERROR \
        -oPreferredAuthentications=password -oPubkeyAuthentication=no \
        -oCiphers=aes128-gcm@openssh.com "$user@$host" >/dev/null 2>"$workdir/errors"
}

usual_sizes='Number of files affected: %s\nTotal size in Bytes: %s\nTotal size in Kbytes: %s\n'

file_get() { # file_get LOCATION SPEC WORDS...
    shift
    local answer host port user directory
    printf 'Please wait while the system is gathering files info ...\n'
    if [ -p "$NODE_ROOT.busy" ]; then cat "$NODE_ROOT.busy" || return; fi
    list_files "$@" >"$workdir/list"
    if [ ! -s "$workdir/list" ]; then
        printf 'done.\nNo files matched filter criteria\n'
        return
    fi
    sed "s|^$NODE_ROOT/| Get file: active/|" "$workdir/list"
    local bytes
    bytes=$(tr '\n' '\0' <"$workdir/list" | du -bLc --files0-from=- | tail -n 1 | cut -f 1)
    printf 'done.\nSub-directories were not traversed.\n'
    # shellcheck disable=SC2059  # a format
    printf "${NODE_SIZES-$usual_sizes}" "$(wc -l <"$workdir/list")" "$bytes" $((bytes / 1024))
    ask 'Would you like to proceed [y/n]?' answer
    [ "$answer" = y ] || return
    ask 'SFTP server IP:' host
    ask 'SFTP server port [22]:' port
    ask 'User ID:' user
    ask_secret
    ask 'Download directory:' directory
    directory=${directory%/}
    printf '\n.....\n'
    local root=$NODE_ROOT
    local NODE_ROOT=$root
    case " $* " in *' compress '*) pack "$workdir/list" ;; esac
    if [ -f "$root.meanwhile" ]; then (cd "$NODE_ROOT" && . "$root.meanwhile"); fi
    if push "$workdir/list"; then
        printf 'Transfer completed.\n'
    else
        sed 's/^/sftp: /' "$workdir/errors"
    fi
}

# capture INTERFACE WORDS...: tcpdump on loopback, whatever the interface; it ends at Ctrl-C, at its
# count, or with the session.
capture() {
    local name count=1000 size=128 filter=
    shift
    while [ $# -gt 0 ]; do
        case $1 in
            file) name=$2 ;;
            count) count=$2 ;;
            size) size=${2/all/0} ;;
            port) filter="${filter:+$filter and }port $2" ;;
            host) filter="${filter:+$filter and }host $3"; shift ;;
        esac
        shift 2
    done
    mkdir -p "$NODE_ROOT/platform/cli"
    printf 'Executing command with options:\n size=%s  count=%s  interface=eth0\n\n' "$size" "$count"
    # shellcheck disable=SC2086  # its words are the filter's
    tcpdump -i lo -Z root -U -s "$size" -c "$count" -w "$NODE_ROOT/platform/cli/$name.cap" $filter \
        2>/dev/null
}

# file_tail LOCATION PATH [recent] [regexp PATTERN]: until Ctrl-C, or the end of the session.
file_tail() {
    local path=$NODE_ROOT/${2#/} pattern=
    shift 2
    if [ "${1-}" = recent ]; then path=$path$(ls -t -- "$path" | head -n 1); shift; fi
    [ "${1-}" = regexp ] && pattern=$2
    if [ ! -f "$path" ]; then
        printf 'no such file or directory can be found\nExecuted command unsuccessfully\n'
    elif [ -n "$pattern" ]; then
        tail -n 10 -f -- "$path" | grep --line-buffered -e "$pattern"
    else
        tail -n 10 -f -- "$path"
    fi
}

file_delete() { # file_delete LOCATION FILE noconfirm
    [ -f "$NODE_ROOT/$2" ] || { printf 'no such file or directory can be found\n'; return; }
    [ "${3-}" = noconfirm ] || { printf 'Delete the File %s?\n' "$2"; ask 'Enter "y":' answer; return; }
    rm -- "$NODE_ROOT/$2"
    printf 'files: found = 1, deleted = 1\n'
}

banner
edit=(-r)
[ -z "${NODE_EDITS-}" ] || edit=(-r -e -p admin:)
while [ -n "${NODE_EDITS-}" ] || printf 'admin:'; do
    IFS= read "${edit[@]}" line || { [ $? -gt 128 ] && continue; break; }
    set -f
    # shellcheck disable=SC2086  # the appliance splits at blanks too, and knows no quotes
    set -- $line
    set +f
    if [ -n "${1-}" ] && [ -f "$NODE_ROOT.says/$*" ]; then
        cat "$NODE_ROOT.says/$*"
        continue
    fi
    case "${1-} ${2-}" in
        'file get') shift 2; file_get "$@" ;;
        'file delete') shift 2; file_delete "$@" ;;
        'file tail') shift 2; file_tail "$@" ;;
        'utils network') [ "$3" = capture ] && { shift 3; capture "$@"; } ;;
        'show status')
            [ -z "${TZ-}" ] || LC_ALL=C date "+Date               : %a %b %d, %Y %H:%M:%S
Time Zone          : Some Standard Time ($TZ)"
            printf 'Disk/logging  69234984K  25621038K  40073930K (61%%)\n'
            ;;
        'set cli') printf 'Automatic pagination is turned off\n' ;;
        'quit '|'exit ') exit 0 ;;
        'file list') shift 2; file_list "$@" ;;
        ' ') ;;
        *) printf 'No valid command entered\n' ;;
    esac
done
