# What the scripts that pick files out of a Debian tree begin with; $out is where they go.

# As they are; what is there already, or nowhere, is passed over.
put() {
    for path; do
        if [ -e "$path" ] && [ ! -e "$out$path" ]; then
            mkdir -p "$out${path%/*}"
            cp -a -L "$path" "$out$path"
        fi
    done
}
# Each with the libraries that it is linked with: a script is linked with nothing.
put_linked() {
    for linked; do
        put "$linked"
        put $(ldd "$linked" 2>/dev/null | grep -o '/[^ )]*' || true)
    done
}

