#compdef @PROGRAM@
# zsh completion for @PROGRAM@: eval "$(@PROGRAM@ --completion zsh)"
_fab() {
    local -a answer
    answer=("${(@f)$("${words[1]}" __complete "${(@)words[2,CURRENT]}" 2>/dev/null)}")
    if (( ${answer[(Ie)__files__]} )); then
        _files
        return
    fi
    compadd -- "${(@)answer:#}"
}
compdef _fab @PROGRAM@
