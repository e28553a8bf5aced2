package snapshot

import "os/exec"

func asNobody(*exec.Cmd) bool { return false }
