# What the daemon knows, one a line.
function _cucmctl_live
    set -l words (commandline -opc)
    cucmctl __complete $words[2..] (string unescape -- (commandline -ct)) 2>/dev/null
end
