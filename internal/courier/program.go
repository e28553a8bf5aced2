package courier

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"waterlock/internal/chunk"
	"waterlock/internal/disk"
	"waterlock/internal/exit"
)

// A drive may carry wl itself, for the machine at the other end, and a text for
// whoever finds it. Nothing that packs or unpacks reads them.
//
//	waterlock/
//	  README.txt                  plain text, UTF-8
//	  bin/
//	    wl-<system>-<processor>   the program, as in wl-linux-amd64; with .exe for windows
//	    <the same>.b3             its BLAKE3, as b3sum prints it: 64 hex, two blanks, name; written last
//
// A program counts once its .b3 fits. To put another one in its place, the .b3
// is removed first and written last, so that a half-written program has none.
const (
	readmeFile = topDir + "/README.txt"
	binDir     = topDir + "/bin"
	sumSuffix  = ".b3"

	// MaxProgram is the size of the largest program that is put on a drive.
	MaxProgram = 128 << 20
	// MaxContact is the length of the longest contact.
	MaxContact = 400

	maxReadme   = 64 << 10
	maxPrograms = 64
)

var programPattern = regexp.MustCompile(`^wl-[a-z0-9]{1,16}-[a-z0-9]{1,16}(\.exe)?$`)

// Program is wl for one kind of machine.
type Program struct {
	OS, Arch string // as Go calls them: linux, amd64
	Content  []byte
}

// Name is the name of the program on the drive.
func (p Program) Name() string {
	name := "wl-" + p.OS + "-" + p.Arch
	if p.OS == "windows" {
		name += ".exe"
	}
	return name
}

// PutProgram puts a program and its checksum onto the drive, both verified.
//
//	mkdir bin, fsync(waterlock)
//	unlink(.b3), fsync(bin)       unless the program there is this one
//	write, fsync, read back the program; fsync(bin)
//	write, fsync, read back .b3; fsync(bin)
func (d *Drive) PutProgram(p Program) (disk.Coldness, error) {
	name := p.Name()
	switch {
	case !programPattern.MatchString(name):
		return 0, fmt.Errorf("%s: not the name of a program for a drive", name)
	case len(p.Content) == 0 || len(p.Content) > MaxProgram:
		return 0, fmt.Errorf("%s: %d bytes; a program for a drive has 1 to %d", name, len(p.Content), MaxProgram)
	}
	if err := disk.MkdirAll(d.fs, binDir, dirPerm); err != nil {
		return 0, err
	}
	full := binDir + "/" + name
	if !d.carries(p) {
		if err := d.fs.Remove(full + sumSuffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return 0, err
		}
		if err := d.fs.SyncDir(binDir); err != nil {
			return 0, err
		}
	}
	cold, err := put(d.fs, full, p.Content)
	if err != nil {
		return 0, err
	}
	d.makeExecutable(full)
	_, err = put(d.fs, full+sumSuffix, []byte(sumLine(p)))
	return cold, err
}

// carries says that the drive holds this program, whole, and its checksum.
func (d *Drive) carries(p Program) bool {
	full := binDir + "/" + p.Name()
	sum := sumLine(p)
	there, err := disk.ReadAll(d.fs, full+sumSuffix, int64(len(sum)))
	if err != nil || string(there) != sum {
		return false
	}
	_, _, err = d.checkProgram(p.Name())
	return err == nil
}

// makeExecutable sets the mode, where the drive knows modes.
func (d *Drive) makeExecutable(name string) {
	if st, err := d.fs.Stat(name); err == nil {
		_ = d.fs.SetMeta(name, disk.Meta{Mode: 0o755, MTime: st.MTime}, disk.MetaOptions{Mode: true})
	}
}

// sumLine is the content of the .b3 of a program.
func sumLine(p Program) string {
	return chunk.SumDigest(p.Content).String() + "  " + p.Name() + "\n"
}

// Programs lists the names of the programs on the drive that have a .b3. It
// reads none of them; VerifyDrive does.
func (d *Drive) Programs() ([]string, error) {
	names, err := d.list(binDir)
	if err != nil {
		return nil, err
	}
	there := map[string]bool{}
	for i := range names.Len() {
		there[names.At(i)] = true
	}
	var list []string
	for i := range names.Len() {
		name := names.At(i)
		if programPattern.MatchString(name) && there[name+sumSuffix] && len(list) < maxPrograms {
			list = append(list, name)
		}
	}
	return list, nil
}

// checkProgram reads a program and holds it to its .b3.
func (d *Drive) checkProgram(name string) (size int64, cold disk.Coldness, err error) {
	full := binDir + "/" + name
	line, err := disk.ReadAll(d.fs, full+sumSuffix, 512)
	if err != nil {
		return 0, 0, err
	}
	h := chunk.NewDigester()
	cold, err = disk.ReadBack(d.fs, full, func(f disk.File) (err error) {
		size, err = io.Copy(h, io.LimitReader(f, MaxProgram+1))
		return err
	})
	if err != nil {
		return size, cold, err
	}
	if want, got := string(line), h.Sum().String()+"  "+name+"\n"; want != got {
		return size, cold, fmt.Errorf("damaged: its BLAKE3 is %s, and %s says %s", h.Sum(), name+sumSuffix, strings.TrimSpace(want))
	}
	return size, cold, nil
}

// contactLine stands before the contact in README.txt.
const contactLine = "If you have found it, please give it back to:"

// PutReadme writes README.txt: what the drive is, whose, and how to go on with
// the programs on it. An empty contact is the one that stands in it already.
func (d *Drive) PutReadme(contact string) error {
	if len(contact) > MaxContact || !utf8.ValidString(contact) || strings.ContainsFunc(contact, unicode.IsControl) {
		return exit.Errorf(exit.Usage, "contact %q: at most %d bytes of printable text, in one line", contact, MaxContact)
	}
	if contact == "" {
		contact = d.contact()
	}
	programs, err := d.Programs()
	if err != nil {
		return err
	}
	_, err = put(d.fs, readmeFile, []byte(d.readme(contact, programs)))
	return err
}

// contact is the contact that README.txt names; "" where there is none.
func (d *Drive) contact() string {
	text, err := disk.ReadAll(d.fs, readmeFile, maxReadme)
	if err != nil || !utf8.Valid(text) {
		return ""
	}
	_, after, _ := strings.Cut(string(text), contactLine+"\r\n\r\n    ")
	line, _, _ := strings.Cut(after, "\r\n")
	if len(line) > MaxContact || strings.ContainsFunc(line, unicode.IsControl) {
		return ""
	}
	return line
}

// readme is the text of README.txt, with line ends that every editor knows.
func (d *Drive) readme(contact string, programs []string) string {
	var b strings.Builder
	say := func(lines ...string) {
		for _, l := range lines {
			b.WriteString(l + "\r\n")
		}
	}
	say("This is a courier drive of Waterlock.", "",
		"It carries somebody's backup from one house to another and back. What lies in the",
		"folder \"waterlock\" is of use to its owner alone: please do not change or delete it.", "")
	if d.label != "" {
		say("Label:     " + d.label)
	}
	say("Drive id:  "+d.id.String(), "Made:      "+d.created.Format("2006-01-02"), "")
	if contact != "" {
		say(contactLine, "", "    "+contact, "")
	}
	say("For its owner", "-------------", "",
		"Plug the drive in and mount it. Then, at home or at the vault alike:", "",
		"    wl run", "",
		"It finds the drive, packs at home, unpacks at the vault, and says when it is safe",
		"to remove the drive. At a new vault, once: wl vault init DIRECTORY --drive DRIVE", "")
	if len(programs) == 0 {
		say("The program wl is not on this drive.")
		return b.String()
	}
	say("The program lies on this drive as well. In the folder of this file:", "")
	for _, name := range programs {
		command := "./bin/" + name + " run"
		if strings.HasSuffix(name, ".exe") {
			command = `bin\` + name + " run"
		}
		say("    " + command)
	}
	say("", "Where that is refused because programs may not be started from the drive, copy it:", "")
	say("    cp bin/"+path.Base(programs[0])+" ~/wl", "    chmod +x ~/wl", "    ~/wl run", "",
		"Beside each program lies a file that ends in "+sumSuffix+": its BLAKE3 hash, as b3sum prints it.")
	return b.String()
}
