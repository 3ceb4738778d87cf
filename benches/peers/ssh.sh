# OpenSSH's own client; 500 commands through one connection by ControlMaster.
host=$(head -n 1 "$BENCH_ADDRESSES")
case $1 in
fanout) exec ssh -F "$BENCH_SSH_CONFIG" -T "$host" "$2" ;;
many)
    ssh() { command ssh -F "$BENCH_SSH_CONFIG" -T -S "$PWD/master" "$@"; }
    ssh -M -f -N "$host"
    left=$2
    while [ "$left" -gt 0 ]; do
        ssh "$host" "$3" || exit
        left=$((left - 1))
    done
    ssh -O exit "$host" 2>/dev/null
    ;;
*) exit 64 ;;
esac
