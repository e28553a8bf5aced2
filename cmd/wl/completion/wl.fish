# Completion of wl for fish.
function __wl_complete
    set -l words (commandline -opc)
    set -l cur (commandline -ct)
    set -l flag (string match -r -- '^--?[^=]+=' $cur)
    set -l rest (string replace -r -- '^--?[^=]+=' '' $cur)
    for line in ($words[1] __complete $words[2..-1] $cur 2>/dev/null)
        switch $line
            case ':dirs' ':files'
                for name in (complete -C"__wl_path $rest" 2>/dev/null)
                    test $line = ':files'; or string match -q -- '*/' $name; or continue
                    printf '%s%s\n' "$flag" $name
                end
            case '*'
                printf '%s%s\n' "$flag" $line
        end
    end
end
complete -c wl -f -a '(__wl_complete)'
