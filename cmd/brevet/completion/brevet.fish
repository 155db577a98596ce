# Completion of brevet for fish.
function __brevet_complete
    set -l words (commandline -opc)
    $words[1] __complete $words[2..-1] (commandline -ct) 2>/dev/null
end
complete -c brevet -f -n 'test -n "$(__brevet_complete)"' -a '(__brevet_complete)'
