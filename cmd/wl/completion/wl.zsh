#compdef wl
# Completion of wl for zsh.
_wl() {
    local line value meaning where=
    local -a plain open
    while IFS= read -r line; do
        case $line in
        :dirs|:files) where=$line ;;
        *)
            value=${line%%$'\t'*} meaning=${line#*$'\t'}
            value=${value//:/\\:}
            [[ -n $meaning ]] && value+=":$meaning"
            if [[ ${line%%$'\t'*} == */ ]]; then open+=("$value"); else plain+=("$value"); fi
            ;;
        esac
    done < <("${words[1]}" __complete "${(@Q)words[2,CURRENT]}" 2>/dev/null)
    [[ $PREFIX == -*=* ]] && compset -P '*='
    (( $#plain )) && _describe -V wl plain
    (( $#open )) && _describe -V wl open -S ''
    case $where in
    :dirs) _files -/ ;;
    :files) _files ;;
    esac
}
if [[ $funcstack[1] == _wl ]]; then
    _wl "$@"
else
    compdef _wl wl
fi
