# fish completion for @PROGRAM@: @PROGRAM@ --completion fish | source
function __fab_complete
    set -l words (commandline -opc) (commandline -ct)
    set -l answer (command $words[1] __complete $words[2..-1] 2>/dev/null)
    if contains -- __files__ $answer
        __fish_complete_path (commandline -ct)
    else
        string join \n -- $answer
    end
end
complete -c @PROGRAM@ -f -a '(__fab_complete)'
