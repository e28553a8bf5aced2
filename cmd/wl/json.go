package main

import (
	"bytes"
	"encoding/json"
	"io"
	"time"
	"unicode/utf8"

	"waterlock/internal/exit"
	"waterlock/internal/report"
)

// With --json a command writes one JSON object a line on stdout and nothing
// else anywhere: docs/JSON.md lists every field. The objects are
//
//	status      progress, or a note
//	error       one bad file, chunk or pack; the run goes on
//	<item>      one line of a listing, such as snapshot
//	summary     what the command did; the last line where the exit code is 0
//	exit_error  the exit code that is not 0, and why; then it is the last line
//
// A new command takes part with one call beside the words for people:
//
//	s.Summary("pack", packSummary(r)) // the command's name; each command has one
//	s.Item("snapshot", snapshotItem(x)) // for a listing: one call an object
//
// Both do nothing without --json, and with it Info and Answer do nothing; Warn,
// Problem, the progress and the error that the command returns become objects
// by themselves, and Confirm asks nobody. The second argument is a struct of
// this package, its form: each field has a json tag in snake case, counts are
// numbers, sizes bytes, ids whole, times go through stamp, paths and other text
// that may be no UTF-8 through textOf and exactly. The form gets a table in
// docs/JSON.md under the heading "summary of wl NAME" or "ITEM", and a line in
// the forms of json_test.go, which holds the three to one another and to the
// fields of the result; and the script command "json" holds what is printed to
// the tables.

// lines writes the objects of --json.
type lines struct{ w io.Writer }

// write writes one object: the message type, for a summary the command, then
// the fields of the form.
func (l lines) write(messageType, command string, form any) {
	head := struct {
		MessageType string `json:"message_type"`
		Command     string `json:"command,omitempty"`
	}{messageType, command}
	line := bytes.TrimSuffix(object(head), []byte("}\n"))
	if rest := object(form)[1:]; rest[0] != '}' {
		line = append(append(line, ','), rest...)
	} else {
		line = append(line, rest...)
	}
	_, _ = l.w.Write(line) // there is nowhere to say that stdout is gone
}

// object is a struct as JSON, with a line end.
func object(form any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(form); err != nil {
		panic(err) // a form that cannot be written is our own bug
	}
	return b.Bytes()
}

// textOf is text of any bytes: what is no UTF-8 is escaped as it is for people.
func textOf(raw string) string {
	if utf8.ValidString(raw) {
		return raw
	}
	return report.Name(raw)
}

// exactly is the bytes of text that textOf had to escape, else nil: the field
// of the same name with _b64 behind it.
func exactly(raw string) []byte {
	if utf8.ValidString(raw) {
		return nil
	}
	return []byte(raw)
}

// pathForm is a path: exact where it is UTF-8, else escaped and exact in base64.
type pathForm struct {
	Path    string `json:"path"`
	PathB64 []byte `json:"path_b64,omitempty"`
}

func pathOf(raw string) pathForm { return pathForm{textOf(raw), exactly(raw)} }

// stamp is a time in UTC, so that it is written as RFC 3339 with a Z; fields
// for it are omitzero.
func stamp(t time.Time) time.Time { return t.UTC() }

// progressForm is a status with progress. Totals that are unknown are left out.
type progressForm struct {
	Phase            string  `json:"phase"`
	BytesDone        int64   `json:"bytes_done"`
	BytesTotal       int64   `json:"bytes_total,omitempty"`
	FilesDone        int64   `json:"files_done"`
	FilesTotal       int64   `json:"files_total,omitempty"`
	BytesPerSecond   int64   `json:"bytes_per_second,omitempty"`
	SecondsElapsed   float64 `json:"seconds_elapsed"`
	SecondsRemaining float64 `json:"seconds_remaining,omitempty"`
}

// noteForm is a status with something worth knowing.
type noteForm struct {
	Note string `json:"note"`
}

type errorForm struct {
	pathForm
	Message string `json:"message"`
}

func errorOf(p report.Problem) errorForm {
	return errorForm{pathOf(p.Path), textOf(p.Err.Error())}
}

type exitErrorForm struct {
	Code    int    `json:"code"`
	Message string `json:"message"`
}

func exitErrorOf(code exit.Code, message string) exitErrorForm {
	return exitErrorForm{int(code), textOf(message)}
}
