# bash completion for @PROGRAM@: eval "$(@PROGRAM@ --completion bash)"
_fab() {
    local IFS=$'\n' current="${COMP_WORDS[COMP_CWORD]}" line="${COMP_LINE:0:COMP_POINT}" answer
    local -a words
    # Words as the shell would cut them, `=` and `:` not being borders.
    IFS=' ' read -r -a words <<< "$line"
    [[ "$line" == *' ' ]] && words+=("")
    local word="${words[${#words[@]}-1]}"
    answer="$("${words[0]}" __complete "${words[@]:1}" 2>/dev/null)"
    if [[ "$answer" == *__files__* ]]; then
        COMPREPLY=($(compgen -f -- "$current"))
        compopt -o filenames 2>/dev/null
        return
    fi
    # bash replaces only what follows the last border.
    local kept="${word%"$current"}"
    COMPREPLY=()
    local candidate
    for candidate in $answer; do
        COMPREPLY+=("${candidate#"$kept"}")
    done
}
complete -F _fab @PROGRAM@
