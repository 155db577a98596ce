#compdef brevet
# Completion of brevet for zsh.
_brevet() {
    local line name
    local -a candidates
    for line in "${(@f)$("${words[1]}" __complete "${(@)words[2,CURRENT]}" 2>/dev/null)}"; do
        [[ -n $line ]] || continue
        name=${line%%$'\t'*}
        candidates+=("${name//:/\\:}:${line#*$'\t'}")
    done
    if (( $#candidates )); then
        _describe brevet candidates
    else
        _files
    fi
}
if [[ ${funcstack[1]} == _brevet ]]; then
    _brevet "$@"
else
    compdef _brevet brevet
fi
