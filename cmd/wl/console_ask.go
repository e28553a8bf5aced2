package main

import (
	"bufio"
	"fmt"
	"os"
	"strings"

	"golang.org/x/term"

	"waterlock/internal/report"
)

// confirm returns the question to a person at a terminal; without one, and with
// --json, nobody is asked. A closed stop channel answers no.
func (k *console) confirm(in *os.File, stop <-chan struct{}) report.Confirm {
	return func(question string) (yes, asked bool) {
		if !k.someone(in) {
			return false, false
		}
		switch k.ask(in, stop, question+" [y/N]") {
		case "y", "yes":
			return true, true
		}
		return false, true
	}
}

// choose returns the question with several answers to a person at a terminal,
// a line each. Each may be shortened to its beginning; what is none of them is
// asked about once more. An empty line and a closed stop channel are no answer.
func (k *console) choose(in *os.File, stop <-chan struct{}) report.Choose {
	return func(question string, answers []report.Answer) (word string, asked bool) {
		if !k.someone(in) {
			return "", false
		}
		var words []string
		for _, a := range answers {
			words = append(words, a.Word)
			question += fmt.Sprintf("\n  %-10s %s", a.Word, a.Means)
		}
		short := "Your answer [" + strings.Join(words, "/") + "]:"
		line := k.ask(in, stop, question+"\n"+short)
		for range 3 {
			if line == "" {
				break
			}
			for _, w := range words {
				if strings.HasPrefix(w, line) {
					return w, true
				}
			}
			line = k.ask(in, stop, short)
		}
		return "", false
	}
}

// someone tells whether there is somebody to ask.
func (k *console) someone(in *os.File) bool {
	return k.lines == nil && in != nil && term.IsTerminal(int(in.Fd()))
}

// ask puts a question and returns the line that answers it, in lower case; ""
// where stop is closed first.
func (k *console) ask(in *os.File, stop <-chan struct{}, question string) string {
	k.mu.Lock()
	if k.bar != nil {
		_ = k.bar.Clear()
		k.bar = nil
	}
	phase := k.phase
	k.phase, k.asking = "", true // no progress over the question
	fmt.Fprintf(k.err, "%s ", report.Line(wrapped(k.err, question)))
	k.mu.Unlock()
	defer func() {
		k.mu.Lock()
		k.phase, k.asking = phase, false
		k.mu.Unlock()
	}()
	answer := make(chan string, 1)
	go func() {
		line, _ := bufio.NewReader(in).ReadString('\n')
		answer <- line
	}()
	select {
	case line := <-answer:
		return trimLower(line)
	case <-stop:
		return ""
	}
}
