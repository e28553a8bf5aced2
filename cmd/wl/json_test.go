package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"waterlock/internal/courier"
	"waterlock/internal/exit"
	"waterlock/internal/home"
	"waterlock/internal/homecoming"
	"waterlock/internal/vault"
)

// jsonForm is one kind of object: its heading in docs/JSON.md, and how it is
// made of the result of an operation, where it is made of one.
type jsonForm struct {
	heading string
	form    any // zero
	result  any // zero; nil: none
	of      func(result any) any
}

// form is a kind of object that is not made of a result.
func form[F any](heading string) jsonForm {
	return jsonForm{heading: heading, form: *new(F)}
}

// formOf is a kind of object that is made of a result R.
func formOf[R, F any](heading string, of func(R) F) jsonForm {
	return jsonForm{heading, *new(F), *new(R), func(r any) any { return of(r.(R)) }}
}

// jsonForms are all objects that wl writes.
var jsonForms = []jsonForm{
	form[progressForm]("status with progress"),
	form[noteForm]("status with a note"),
	form[errorForm]("error"),
	form[exitErrorForm]("exit_error"),
	formOf("summary of wl init", initSummary),
	form[driveInitForm]("summary of wl drive init"),
	formOf("summary of wl drive clear", clearSummary),
	formOf("drive", driveItem),
	form[driveListForm]("summary of wl drive list"),
	formOf("summary of wl drive lost", func(r home.LostResult) driveLostForm { return driveLostSummary("", "", r) }),
	form[receiptExportForm]("summary of wl receipt export"),
	formOf("summary of wl receipt import", receiptImportSummary),
	form[receiptShowForm]("summary of wl receipt show"),
	formOf("listed", listedItem),
	formOf("summary of wl pack", packSummary),
	formOf("summary of wl plan", planSummary),
	formOf("summary of wl vault init", vaultInitSummary),
	formOf("summary of wl vault adopt", vaultAdoptSummary),
	formOf("foreign", foreignItem),
	formOf("summary of wl vault foreign", vaultForeignSummary),
	formOf("summary of wl vault rebuild", vaultRebuildSummary),
	formOf("summary of wl unpack", unpackSummary),
	formOf("summary of wl restore", func(r vault.RestoreResult) restoreForm { return restoreSummary(vault.RestoreOptions{}, r) }),
	formOf("summary of wl restore to drive", toDriveSummary),
	formOf("summary of wl restore from drive", func(r homecoming.Result) fromDriveForm { return fromDriveSummary(homecoming.Options{}, r) }),
	formOf("summary of wl verify vault", verifyVaultSummary),
	formOf("summary of wl verify drive", func(r courier.VerifyResult) verifyDriveForm { return verifyDriveSummary("", "", r) }),
	formOf("summary of wl prune", pruneSummary),
	formOf("snapshot", snapshotItem),
	form[snapshotsForm]("summary of wl snapshots"),
	form[entryForm]("entry"),
	formOf("summary of wl ls", lsSummary),
	form[foundForm]("found"),
	formOf("summary of wl find", findSummary),
	form[changeForm]("change"),
	formOf("summary of wl diff", diffSummary),
	form[contentForm]("content"),
	formOf("summary of wl cat", catSummary),
	formOf("path", whereItem),
	formOf("route", routeItem),
	formOf("vault", vaultItem),
	form[statusForm]("summary of wl status"),
	form[runForm]("run"),
	form[completionForm]("summary of wl completion"),
	form[versionForm]("summary of wl version"),
}

// field is one row of a table in docs/JSON.md.
type field struct {
	name     string // trees[].path
	kind     string // string, number, boolean, time, base64, object, strings, numbers, objects
	optional bool
}

var jsonRow = regexp.MustCompile("^\\| `([a-z0-9_.\\[\\]]+)` \\| ([a-z0-9]+)(, optional)? \\| .+ \\|$")

// documented reads docs/JSON.md: the fields under each heading.
func documented(t testing.TB) map[string][]field {
	t.Helper()
	text, err := os.ReadFile("../../docs/JSON.md")
	if err != nil {
		t.Fatal(err)
	}
	tables, heading := map[string][]field{}, ""
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if h, ok := strings.CutPrefix(line, "### "); ok {
			heading = strings.ReplaceAll(h, "`", "")
			if _, twice := tables[heading]; twice {
				t.Errorf("docs/JSON.md: %s twice", heading)
			}
			tables[heading] = nil
			continue
		}
		if m := jsonRow.FindStringSubmatch(line); m != nil {
			tables[heading] = append(tables[heading], field{m[1], m[2], m[3] != ""})
		} else if strings.HasPrefix(line, "| `") && heading != "" {
			t.Errorf("docs/JSON.md: a row that is no field: %s", line)
		}
	}
	return tables
}

// fieldsOf is what a form says of itself.
func fieldsOf(t reflect.Type, prefix string) []field {
	var list []field
	for i := range t.NumField() {
		f := t.Field(i)
		name, option, _ := strings.Cut(f.Tag.Get("json"), ",")
		if f.Anonymous && name == "" {
			list = append(list, fieldsOf(f.Type, prefix)...)
			continue
		}
		if name == "" {
			name = "no tag: " + f.Name
		}
		one := field{name: prefix + name, optional: option != ""}
		var inner reflect.Type
		one.kind, inner = kindOf(f.Type)
		list = append(list, one)
		if inner != nil {
			if one.kind == "objects" {
				name += "[]"
			}
			list = append(list, fieldsOf(inner, prefix+name+".")...)
		}
	}
	return list
}

func kindOf(t reflect.Type) (kind string, inner reflect.Type) {
	switch {
	case t == reflect.TypeFor[time.Time]():
		return "time", nil
	case t == reflect.TypeFor[[]byte]():
		return "base64", nil
	}
	switch t.Kind() {
	case reflect.Pointer:
		return kindOf(t.Elem())
	case reflect.String:
		return "string", nil
	case reflect.Bool:
		return "boolean", nil
	case reflect.Int, reflect.Int64, reflect.Uint64, reflect.Float64:
		return "number", nil
	case reflect.Struct:
		return "object", t
	case reflect.Slice:
		kind, inner := kindOf(t.Elem())
		return kind + "s", inner
	}
	return "no kind for " + t.String(), nil
}

// TestEveryFieldOfJSONIsDocumented holds docs/JSON.md to the forms, and the
// forms to what the commands write.
func TestEveryFieldOfJSONIsDocumented(t *testing.T) {
	tables := documented(t)
	known := map[string]bool{}
	for _, f := range jsonForms {
		known[f.heading] = true
		want := fieldsOf(reflect.TypeOf(f.form), "")
		got := tables[f.heading]
		for _, w := range want {
			if !slices.Contains(got, w) {
				t.Errorf("docs/JSON.md lacks in %q: %s, %s, optional %v", f.heading, w.name, w.kind, w.optional)
			}
		}
		for _, g := range got {
			if !slices.Contains(want, g) {
				t.Errorf("docs/JSON.md has in %q what is not written: %s, %s, optional %v", f.heading, g.name, g.kind, g.optional)
			}
		}
	}
	for heading := range tables {
		if !known[heading] {
			t.Errorf("docs/JSON.md has a heading that jsonForms has not: %q", heading)
		}
	}
	calls := regexp.MustCompile(`\.(Summary|Item)\("([^"]+)"`)
	files, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, file := range files {
		if !strings.HasSuffix(file.Name(), ".go") || strings.HasSuffix(file.Name(), "_test.go") || file.Name() == "json.go" {
			continue
		}
		text, err := os.ReadFile(file.Name())
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range calls.FindAllStringSubmatch(string(text), -1) {
			heading := m[2]
			if m[1] == "Summary" {
				heading = "summary of wl " + m[2]
			}
			if !known[heading] {
				t.Errorf("%s writes %q, which jsonForms has not", file.Name(), heading)
			}
			n++
		}
	}
	if n < 12 {
		t.Errorf("found %d calls only", n)
	}
}

// TestEveryCommandHasASummary: each command that can be run writes one, and a
// script parses it.
func TestEveryCommandHasASummary(t *testing.T) {
	var scripts []byte
	names, err := filepath.Glob("../../tests/script/*.txtar")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		scripts = append(scripts, text...)
	}
	for _, c := range leafCommands(newApp(&env{}).Commands, "wl") {
		name := strings.TrimPrefix(c.full, "wl ")
		found := name == "run" // its summary is that of pack or unpack
		for _, f := range jsonForms {
			rest, ok := strings.CutPrefix(f.heading, "summary of wl "+name)
			found = found || ok && (rest == "" || rest[0] == ' ')
		}
		if !found {
			t.Errorf("no summary of wl %s", name)
		}
		if !regexp.MustCompile(`(?m)^json 0 wl (--state \S+ )?` + name + `\b`).Match(scripts) {
			t.Errorf("no script has a line: json 0 wl %s ...", name)
		}
	}
}

// TestEveryFieldOfAResultIsInItsJSON sets one field of a result after the
// other: each must change what is written.
func TestEveryFieldOfAResultIsInItsJSON(t *testing.T) {
	for _, f := range jsonForms {
		if f.of == nil {
			continue
		}
		for _, at := range leaves(reflect.TypeOf(f.result)) {
			full := reflect.New(reflect.TypeOf(f.result)).Elem()
			fill(full, 1)
			before := object(f.of(full.Interface()))
			leaf := at.in(full)
			if leaf.Kind() == reflect.Bool {
				leaf.SetBool(!leaf.Bool())
			} else {
				fill(leaf, 2)
			}
			if after := object(f.of(full.Interface())); bytes.Equal(before, after) {
				t.Errorf("%s: nothing shows %T.%s", f.heading, f.result, at.name)
			}
		}
	}
}

// resultLeaf is a field of a struct, or of the first element of a list in it.
type resultLeaf struct {
	name string
	in   func(reflect.Value) reflect.Value
}

func leaves(t reflect.Type) []resultLeaf {
	switch {
	case t == reflect.TypeFor[time.Time]():
	case t.Kind() == reflect.Slice:
		var list []resultLeaf
		for _, l := range leaves(t.Elem()) {
			list = append(list, resultLeaf{"[0]" + l.name, func(v reflect.Value) reflect.Value { return l.in(v.Index(0)) }})
		}
		return list
	case t.Kind() == reflect.Struct:
		var list []resultLeaf
		for i := range t.NumField() {
			if !t.Field(i).IsExported() {
				continue
			}
			for _, l := range leaves(t.Field(i).Type) {
				list = append(list, resultLeaf{t.Field(i).Name + " " + l.name, func(v reflect.Value) reflect.Value { return l.in(v.Field(i)) }})
			}
		}
		return list
	}
	return []resultLeaf{{"", func(v reflect.Value) reflect.Value { return v }}}
}

// fill sets all of a value to something made of n.
func fill(v reflect.Value, n int64) {
	switch {
	case v.Type() == reflect.TypeFor[time.Time]():
		v.Set(reflect.ValueOf(time.Unix(1e9+n, 0)))
		return
	case v.Kind() == reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fill(v.Index(0), n)
	case v.Kind() == reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				fill(v.Field(i), n)
			}
		}
	case v.Kind() == reflect.String:
		v.SetString(fmt.Sprintf("text %d", n))
	case v.Kind() == reflect.Bool:
		v.SetBool(false)
	case v.CanInt():
		v.SetInt(n)
	case v.CanUint():
		v.SetUint(uint64(n))
	case v.CanFloat():
		v.SetFloat(float64(n))
	default:
		panic("no way to fill " + v.Type().String())
	}
}

// checkLines holds what a command wrote with --json to docs/JSON.md.
func checkLines(tables map[string][]field, out string, code int) error {
	all := strings.SplitAfter(out, "\n")
	if last := all[len(all)-1]; last != "" {
		return fmt.Errorf("the last line does not end: %s", last)
	}
	all = all[:len(all)-1]
	kind := ""
	for _, line := range all {
		if kind == "exit_error" || kind == "summary" && !strings.Contains(line, `"exit_error"`) {
			return fmt.Errorf("behind the end: %s", line)
		}
		var object map[string]any
		if err := json.Unmarshal([]byte(line), &object); err != nil {
			return fmt.Errorf("%w: %s", err, line)
		}
		var ok bool
		if kind, ok = object["message_type"].(string); !ok {
			return fmt.Errorf("no message_type: %s", line)
		}
		delete(object, "message_type")
		heading := kind
		switch kind {
		case "summary":
			heading = fmt.Sprintf("summary of wl %v", object["command"])
			delete(object, "command")
		case "status":
			heading = "status with progress"
			if object["note"] != nil {
				heading = "status with a note"
			}
		}
		fields, ok := tables[heading]
		if !ok {
			return fmt.Errorf("docs/JSON.md has no %q: %s", heading, line)
		}
		if err := checkObject(fields, "", object); err != nil {
			return fmt.Errorf("%w: %s", err, line)
		}
	}
	want := "summary"
	if code != 0 {
		want = "exit_error"
	}
	if kind != want {
		return fmt.Errorf("exit code %d, and the last line is of type %q, want %q", code, kind, want)
	}
	return nil
}

// checkObject holds the fields of one object to those that are documented.
func checkObject(fields []field, prefix string, object map[string]any) error {
	for _, f := range fields {
		name, ok := strings.CutPrefix(f.name, prefix)
		if !ok || strings.ContainsAny(name, ".") {
			continue
		}
		v, there := object[name]
		delete(object, name)
		if !there {
			if f.optional {
				continue
			}
			return fmt.Errorf("%s is not there", f.name)
		}
		if err := checkValue(fields, f.name, f.kind, v); err != nil {
			return err
		}
	}
	for name := range object {
		return fmt.Errorf("%s%s is not in docs/JSON.md", prefix, name)
	}
	return nil
}

func checkValue(fields []field, name, kind string, v any) error {
	ok := false
	switch kind {
	case "string", "base64":
		_, ok = v.(string)
	case "time":
		_, err := time.Parse(time.RFC3339Nano, fmt.Sprint(v))
		ok = err == nil && strings.HasSuffix(fmt.Sprint(v), "Z")
	case "number":
		_, ok = v.(float64)
	case "boolean":
		_, ok = v.(bool)
	case "object":
		o, is := v.(map[string]any)
		if !is {
			break
		}
		return checkObject(fields, name+".", o)
	default:
		list, is := v.([]any)
		if !is {
			break
		}
		for _, item := range list {
			if err := checkValue(fields, name+"[]", strings.TrimSuffix(kind, "s"), item); err != nil {
				return err
			}
		}
		return nil
	}
	if !ok {
		return fmt.Errorf("%s is no %s: %v", name, kind, v)
	}
	return nil
}

func jsonConsole(quiet bool) (k *console, out *bytes.Buffer) {
	out = new(bytes.Buffer)
	return newConsole(&env{out: out, err: out, json: true}, quiet, true), out
}

func TestWithJSONWordsForPeopleAreOffAndNobodyIsAsked(t *testing.T) {
	k, out := jsonConsole(false)
	k.Info("small talk")
	k.Answer("the list")
	if yes, asked := k.confirm(os.Stdin, nil)("delete all?"); yes || asked {
		t.Errorf("confirm: %v, %v", yes, asked)
	}
	k.Close()
	if out.Len() > 0 {
		t.Errorf("said %s", out)
	}
}

func TestWithJSONWhatIsSaidBecomesObjects(t *testing.T) {
	k, out := jsonConsole(false)
	k.Phase("pack", 10, 0)
	k.Problem("dir/bad\xff", errors.New("cannot <read> bad\xff"))
	k.Warn("beware of %s", "the dog")
	k.show(true)
	k.Rest()
	k.Summary("version", versionForm{})
	k.Close()
	for _, want := range []string{
		`{"message_type":"status","phase":"pack","bytes_done":0,"bytes_total":10,`,
		`{"message_type":"error","path":"dir/bad\\xff","path_b64":"ZGlyL2JhZP8=","message":"cannot <read> bad\\xff"}`,
		`{"message_type":"status","note":"beware of the dog"}`,
		`{"message_type":"summary","command":"version","version":`,
	} {
		if !strings.Contains("\n"+out.String(), "\n"+want) {
			t.Errorf("no line %s in\n%s", want, out)
		}
	}
	if err := checkLines(documented(t), out.String(), 0); err != nil {
		t.Error(err)
	}
}

func TestWithJSONQuietLeavesOutProgressUnlessItIsAskedFor(t *testing.T) {
	k, out := jsonConsole(true)
	k.Phase("pack", 10, 0)
	if out.Len() > 0 {
		t.Errorf("said %s", out)
	}
	k.showNow()
	if !strings.Contains(out.String(), `"phase":"pack"`) {
		t.Errorf("said %q", out)
	}
	k.Close()
}

func TestAnObjectWithoutFieldsIsWhole(t *testing.T) {
	var b bytes.Buffer
	lines{&b}.write("x", "", struct{}{})
	if b.String() != `{"message_type":"x"}`+"\n" {
		t.Error(b.String())
	}
}

func TestWithJSONErrorsAreObjects(t *testing.T) {
	for _, c := range []struct {
		args []string
		code exit.Code
	}{
		{[]string{"wl", "--json"}, exit.Usage},
		{[]string{"wl", "frobnicate", "--json"}, exit.Usage},
		{[]string{"wl", "pack", "--json", "--drive"}, exit.Usage},
		{[]string{"wl", "--json=true", "pack", "--bad"}, exit.Usage},
		{[]string{"wl", "status", "--json", "--state", t.TempDir()}, exit.NotFound},
	} {
		var out, errs bytes.Buffer
		if code := run(c.args, nil, &out, &errs); code != c.code {
			t.Errorf("%q: code %d, want %d", c.args, code, c.code)
		}
		if err := checkLines(documented(t), out.String(), int(c.code)); err != nil || errs.Len() > 0 {
			t.Errorf("%q: %v; stderr %q", c.args, err, &errs)
		}
	}
}

func TestTheCheckOfLinesFindsWhatIsWrong(t *testing.T) {
	tables := map[string][]field{
		"summary of wl x": {{"n", "number", false}, {"list", "objects", false}, {"list[].t", "time", true}},
		"exit_error":      {{"code", "number", false}},
	}
	good := `{"message_type":"summary","command":"x","n":1,"list":[{"t":"2026-01-02T03:04:05Z"},{}]}` + "\n"
	if err := checkLines(tables, good, 0); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		out  string
		code int
	}{
		"nothing":         {"", 0},
		"words":           {"hello\n" + good, 0},
		"no line end":     {strings.TrimSpace(good), 0},
		"no exit_error":   {good, 3},
		"behind the end":  {good + good, 0},
		"unknown field":   {strings.Replace(good, `"n"`, `"m":2,"n"`, 1), 0},
		"field missing":   {strings.Replace(good, `"n":1,`, ``, 1), 0},
		"wrong kind":      {strings.Replace(good, `"n":1`, `"n":"1"`, 1), 0},
		"null list":       {strings.Replace(good, `[{"t":"2026-01-02T03:04:05Z"},{}]`, `null`, 1), 0},
		"unknown inside":  {strings.Replace(good, `"t"`, `"u"`, 1), 0},
		"local time":      {strings.Replace(good, `05Z`, `05+01:00`, 1), 0},
		"unknown command": {strings.Replace(good, `"x"`, `"y"`, 1), 0},
	} {
		if checkLines(tables, c.out, c.code) == nil {
			t.Errorf("%s: not found", name)
		}
	}
}
