package main

import (
	"fmt"
	"io"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"

	"waterlock/internal/exit"
	"waterlock/internal/report"
)

const (
	barEvery  = 300 * time.Millisecond // on a terminal
	lineEvery = time.Minute            // elsewhere
	jsonEvery = time.Second            // with --json
	barWidth  = 12
	shownLast = 10 // problems repeated at the end
)

// console is the Reporter of the command line. Results go to stdout; progress,
// warnings and problems to stderr. A bar is drawn where stderr is a terminal,
// else one plain line is written a minute; --quiet leaves out both, and the
// results' small talk. With --json all of it is objects on stdout.
type console struct {
	out, err       io.Writer
	lines          *lines // of --json; nil without
	terminal       bool
	quiet, verbose bool

	bytes, files atomic.Int64 // of the phase

	mu       sync.Mutex // all below, and every write
	phase    string
	asking   bool  // a question stands there
	total    int64 // bytes
	count    int64 // files
	begun    time.Time
	rate     rate
	bar      *progressbar.ProgressBar
	problems []report.Problem // the first ones
	nth      int64            // how many in all
	summary  func()           // writes it; nil: there is none

	stop     chan struct{}
	stopped  sync.WaitGroup
	finished bool
}

func newConsole(e *env, quiet, verbose bool) *console {
	k := &console{out: e.out, err: e.err, quiet: quiet, verbose: verbose, stop: make(chan struct{})}
	if f, ok := e.err.(*os.File); ok {
		k.terminal = term.IsTerminal(int(f.Fd()))
	}
	if e.json {
		k.lines, k.terminal = &lines{e.out}, false
	}
	k.stopped.Go(func() { k.tick(e.ask) })
	return k
}

// tick shows the progress from time to time, unless --quiet, and at once when
// the signal asks for it, even then.
func (k *console) tick(ask <-chan os.Signal) {
	every := lineEvery
	switch {
	case k.lines != nil:
		every = jsonEvery
	case k.terminal:
		every = barEvery
	}
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case <-k.stop:
			return
		case <-ticker.C:
			if !k.quiet {
				k.show(k.terminal)
			}
		case <-ask:
			k.showNow()
		}
	}
}

// showNow shows the progress as a line or an object, even where there is none
// to count.
func (k *console) showNow() {
	k.mu.Lock()
	idle, asking := k.phase == "", k.asking
	k.mu.Unlock()
	switch {
	case asking:
		k.note("waiting for an answer")
		return
	case idle:
		k.note("no progress to count just now")
		return
	}
	k.show(false)
}

func (k *console) show(asBar bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.phase == "" || k.finished {
		return
	}
	bytes, files := k.bytes.Load(), k.files.Load()
	k.rate.add(time.Now(), bytes)
	switch {
	case k.lines != nil:
		k.lines.write("status", "", k.progress(bytes, files))
	case !asBar:
		k.print(k.err, "wl: "+k.line(bytes, files))
	default:
		if k.bar == nil {
			k.bar = k.newBar()
		}
		k.bar.Describe(k.fit(k.line(bytes, files)))
		_ = k.bar.Set64(bytes) // drawn with the next words; past the total it stays full
	}
}

// newBar is a bar, or a spinner where the total is unknown; the words beside it
// are ours. It is drawn once a tick, when its words are set.
func (k *console) newBar() *progressbar.ProgressBar {
	most := k.total
	if most <= 0 {
		most = -1
	}
	return progressbar.NewOptions64(most,
		progressbar.OptionSetWriter(k.err),
		progressbar.OptionSetWidth(barWidth),
		progressbar.OptionUseANSICodes(runtime.GOOS != "windows"), // they take away a ^C that stands behind the bar, too
		progressbar.OptionSetPredictTime(false),
		progressbar.OptionSetElapsedTime(false),
		progressbar.OptionShowDescriptionAtLineEnd(),
		progressbar.OptionThrottle(barEvery/2),
		progressbar.OptionSetSpinnerChangeInterval(0), // else it draws on its own, past our lock
	)
}

// fit cuts the words beside the bar to what the terminal has room for.
func (k *console) fit(text string) string {
	width := widthOf(k.err)
	if width == 0 {
		width = 80
	}
	room := max(width-barWidth-10, 10)
	if r := []rune(text); len(r) > room {
		return string(r[:room])
	}
	return text
}

// progress is the progress as an object.
func (k *console) progress(bytes, files int64) progressForm {
	p := progressForm{
		Phase: k.phase, BytesDone: bytes, BytesTotal: k.total, FilesDone: files, FilesTotal: k.count,
		BytesPerSecond: int64(k.rate.perSecond()), SecondsElapsed: seconds(time.Since(k.begun)),
	}
	if left := k.total - bytes; k.total > 0 && left > 0 && p.BytesPerSecond > 0 {
		p.SecondsRemaining = seconds(time.Duration(float64(left) / float64(p.BytesPerSecond) * float64(time.Second)))
	}
	return p
}

// seconds is a duration to the millisecond.
func seconds(d time.Duration) float64 { return d.Round(time.Millisecond).Seconds() }

// line is the progress in plain words.
func (k *console) line(bytes, files int64) string {
	s := k.phase + ": " + report.Size(bytes)
	if k.total > 0 {
		s += " of " + report.Size(k.total)
	}
	perSecond := k.rate.perSecond()
	if perSecond > 0 {
		s += fmt.Sprintf(", %s/s", report.Size(int64(perSecond)))
		if left := k.total - bytes; k.total > 0 && left > 0 {
			s += fmt.Sprintf(", %s left", roughly(time.Duration(float64(left)/perSecond*float64(time.Second))))
		}
	}
	switch {
	case k.count > 0:
		s += ", " + humanize.Comma(files) + " of " + report.Count(k.count, "file")
	case files > 0:
		s += ", " + report.Count(files, "file")
	}
	return s
}

// roughly writes a duration as a person would say it.
func roughly(d time.Duration) string {
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds())+1)
	case d < 2*time.Hour:
		return fmt.Sprintf("%d min", int(d.Round(time.Minute).Minutes()))
	}
	return fmt.Sprintf("%.1f h", d.Hours())
}

// print writes one line; the caller holds the lock. The bar is taken away
// before and drawn again by the next tick.
func (k *console) print(w io.Writer, line string) {
	if k.bar != nil {
		_ = k.bar.Clear()
	}
	if k.asking { // behind the question
		fmt.Fprintln(k.err)
	}
	fmt.Fprintln(w, report.Line(line))
}

func (k *console) say(w io.Writer, line string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.print(w, line)
}

// note says something of the run itself: on stderr, or as a status.
func (k *console) note(text string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.lines != nil {
		k.lines.write("status", "", noteForm{textOf(text)})
		return
	}
	k.print(k.err, wrapped(k.err, "wl: "+text))
}

// Summary is what the command did, for --json; see json.go. It is written by
// Close, so that it stands behind all else.
func (k *console) Summary(command string, form any) {
	if k.lines == nil {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.summary = func() { k.lines.write("summary", command, form) }
}

// Item is one object of a listing, for --json; see json.go.
func (k *console) Item(messageType string, form any) {
	if k.lines == nil {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.lines.write(messageType, "", form)
}

// Phase begins a new phase.
func (k *console) Phase(name string, totalBytes, totalFiles int64) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.bar != nil {
		_ = k.bar.Clear()
		k.bar = nil
	}
	k.bytes.Store(0)
	k.files.Store(0)
	k.phase, k.total, k.count = name, totalBytes, totalFiles
	k.begun = time.Now()
	k.rate = rate{}
	k.rate.add(k.begun, 0)
	switch {
	case k.lines != nil && !k.quiet:
		k.lines.write("status", "", k.progress(0, 0))
	case k.lines == nil && k.verbose:
		k.print(k.err, "wl: "+name)
	}
}

// Add counts progress within the phase.
func (k *console) Add(bytes, files int64) {
	if bytes != 0 {
		k.bytes.Add(bytes)
	}
	if files != 0 {
		k.files.Add(files)
	}
}

// Problem prints a problem and keeps the first ones for the end.
func (k *console) Problem(path string, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	p := report.Problem{Path: path, Err: err}
	k.nth++
	if len(k.problems) < shownLast {
		k.problems = append(k.problems, p)
	}
	if k.lines != nil {
		k.lines.write("error", "", errorOf(p))
		return
	}
	k.print(k.err, wrapped(k.err, "wl: problem: "+p.String()))
}

// Warn prints a warning.
func (k *console) Warn(format string, a ...any) {
	text := fmt.Sprintf(format, a...)
	if k.lines == nil {
		text = "note: " + text
	}
	k.note(text)
}

// Info prints a result, for people.
func (k *console) Info(format string, a ...any) {
	if !k.quiet && k.lines == nil {
		k.say(k.out, wrapped(k.out, fmt.Sprintf(format, a...)))
	}
}

// Answer prints what the user asked for, for people, even with --quiet. Its
// lines stay as they are, however long.
func (k *console) Answer(format string, a ...any) {
	if k.lines == nil {
		k.say(k.out, fmt.Sprintf(format, a...))
	}
}

// Verbose tells a detail, with --verbose only.
func (k *console) Verbose(format string, a ...any) {
	if k.verbose {
		k.note(fmt.Sprintf(format, a...))
	}
}

// exit ends the process at once.
func (k *console) exit(code exit.Code, message string) {
	k.mu.Lock()
	if k.lines != nil {
		k.lines.write("exit_error", "", exitErrorOf(code, message))
	} else {
		k.print(k.err, "wl: "+message)
	}
	os.Exit(int(code))
}

// Rest ends the progress, so that results can be printed below it.
func (k *console) Rest() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.phase = ""
	if k.bar != nil {
		_ = k.bar.Clear()
		k.bar = nil
	}
}

// Close ends the console: the first problems once more, or the summary.
func (k *console) Close() {
	k.mu.Lock()
	if k.finished {
		k.mu.Unlock()
		return
	}
	k.finished = true
	if k.bar != nil {
		_ = k.bar.Clear()
	}
	if k.summary != nil {
		k.summary()
	}
	if len(k.problems) > 0 && k.lines == nil {
		head := report.Count(k.nth, "problem") + ":"
		if k.nth > int64(len(k.problems)) {
			head = fmt.Sprintf("%s, the first %d of them:", report.Count(k.nth, "problem"), len(k.problems))
		}
		fmt.Fprintln(k.err, "wl: "+head)
		for _, p := range k.problems {
			fmt.Fprintln(k.err, report.Line(wrapped(k.err, "wl:   "+p.String())))
		}
	}
	k.mu.Unlock()
	close(k.stop)
	k.stopped.Wait()
}

// rate is the speed of the last minute or so.
type rate struct {
	at    [64]time.Time
	bytes [64]int64
	n     int
}

func (r *rate) add(at time.Time, bytes int64) {
	if r.n > 0 && at.Sub(r.at[(r.n-1)%len(r.at)]) < barEvery/2 {
		return
	}
	r.at[r.n%len(r.at)], r.bytes[r.n%len(r.at)] = at, bytes
	r.n++
}

func (r *rate) perSecond() float64 {
	if r.n < 2 {
		return 0
	}
	last := (r.n - 1) % len(r.at)
	first := max(r.n-len(r.at), 0) % len(r.at)
	d := r.at[last].Sub(r.at[first]).Seconds()
	if d <= 0 {
		return 0
	}
	return float64(r.bytes[last]-r.bytes[first]) / d
}
