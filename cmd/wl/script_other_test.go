//go:build !linux

package main

import "github.com/rogpeppe/go-internal/testscript"

var mountCommands map[string]func(*testscript.TestScript, bool, []string)

func prepareMounts(*testscript.Env) {}

func canMount(string) bool { return false }
