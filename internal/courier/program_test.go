package courier

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"waterlock/internal/disk"
	"waterlock/internal/disk/disktest"
	"waterlock/internal/exit"
	"waterlock/internal/report"
)

func testProgram(seed uint64) Program {
	return Program{OS: "linux", Arch: "amd64", Content: noise(seed, 70_000)}
}

func readFile(t *testing.T, fsys disk.FS, name string) string {
	t.Helper()
	b, err := disk.ReadAll(fsys, name, 1<<20)
	must(t, err)
	return string(b)
}

func TestAProgramAndItsChecksumAreDurable(t *testing.T) {
	m, d := newDrive(t)
	id := d.ID()
	cold, err := d.PutProgram(testProgram(1))
	must(t, err)
	if cold != disk.Cold {
		t.Errorf("read back %v", cold)
	}
	must(t, d.PutReadme(""))
	d = reopen(t, m.Crashed(disktest.Strict, 0))
	if got := readFile(t, d.fs, "waterlock/bin/wl-linux-amd64"); got != string(noise(1, 70_000)) {
		t.Errorf("%d bytes", len(got))
	}
	if got := readFile(t, d.fs, "waterlock/bin/wl-linux-amd64.b3"); !strings.HasSuffix(got, "  wl-linux-amd64\n") || len(got) != 64+2+15 {
		t.Errorf("%q", got)
	}
	if d.ID() != id {
		t.Error("another id")
	}
	names, err := d.Programs()
	if err != nil || len(names) != 1 || names[0] != "wl-linux-amd64" {
		t.Error(names, err)
	}
	if routes, err := d.Routes(); err != nil || len(routes) > 0 {
		t.Error("a program is taken for a route", routes, err)
	}
}

// At every moment a program that has a whole .b3 is that program, whichever of the two it is.
func TestACrashLeavesNoHalfProgramWithAChecksum(t *testing.T) {
	for _, damaged := range []bool{false, true} {
		for k := 0; ; k++ {
			m, d := newDrive(t)
			_, err := d.PutProgram(testProgram(1))
			must(t, err)
			must(t, d.PutReadme("aunt"))
			next := testProgram(2)
			if damaged { // the drive has it, but a bit is wrong
				next = testProgram(1)
				flipAt(t, m, "waterlock/bin/wl-linux-amd64", 5000)
			}
			m.CrashAfter(k)
			_, err = d.PutProgram(next)
			crashed := m.DidCrash()
			afterPower(m, func(what string, m *disktest.Mem) {
				what = fmt.Sprintf("damaged %v, crash after %d, %s", damaged, k, what)
				d := reopen(t, m)
				names, lerr := d.Programs()
				must(t, lerr)
				for _, name := range names {
					if len(readFile(t, m, binDir+"/"+name+".b3")) < len(sumLine(next)) {
						continue // torn: it vouches for nothing
					}
					_, _, cerr := d.checkProgram(name)
					if cerr != nil && !(damaged && stillFlipped(t, m)) {
						t.Fatalf("%s: %v", what, cerr)
					}
				}
				if err == nil && (len(names) != 1 || !d.carries(next)) {
					t.Fatalf("%s: said to be there, and is not", what)
				}
				_, perr := d.PutProgram(next)
				must(t, perr)
				if !d.carries(next) {
					t.Fatalf("%s: not there at the second time", what)
				}
			})
			if !crashed {
				must(t, err)
				break
			}
		}
	}
}

// stillFlipped says that the program is the damaged one as it was before.
func stillFlipped(t *testing.T, m disk.FS) bool {
	want := noise(1, 70_000)
	want[5000] ^= 1
	return readFile(t, m, "waterlock/bin/wl-linux-amd64") == string(want)
}

func TestVerifyDriveFindsADamagedProgram(t *testing.T) {
	m, d := newDrive(t)
	_, err := d.PutProgram(testProgram(1))
	must(t, err)
	var rep report.Recorder
	r, err := VerifyDrive(context.Background(), d, &rep)
	if err != nil || r.Problems > 0 || r.Files != 1 || r.Bytes != 70_000 {
		t.Fatal(r, err)
	}
	flipAt(t, m, "waterlock/bin/wl-linux-amd64", 5000)
	r, err = VerifyDrive(context.Background(), d, &rep)
	if err != nil || r.Problems != 1 || r.DamagedFiles != 1 {
		t.Error(r, err)
	}
	if p := rep.Problems(); len(p) != 1 || p[0].Path != "waterlock/bin/wl-linux-amd64" {
		t.Error(p)
	}
}

func flipAt(t *testing.T, m disk.FS, name string, off int64) {
	t.Helper()
	f, err := m.OpenWrite(name)
	must(t, err)
	defer f.Close()
	b := make([]byte, 1)
	_, err = f.ReadAt(b, off)
	must(t, err)
	b[0] ^= 1
	_, err = f.WriteAt(b, off)
	must(t, err)
	must(t, f.Sync())
}

func TestNamesOfProgramsAreBounded(t *testing.T) {
	_, d := newDrive(t)
	for _, p := range []Program{
		{"linux", "../x", []byte("x")}, {"", "amd64", []byte("x")}, {"linux", "amd64", nil}, {"Linux", "amd64", []byte("x")},
	} {
		if _, err := d.PutProgram(p); err == nil {
			t.Errorf("%s %s is taken", p.OS, p.Arch)
		}
	}
	if got := (Program{OS: "windows", Arch: "amd64"}).Name(); got != "wl-windows-amd64.exe" {
		t.Error(got)
	}
}

func TestTheReadmeSaysWhoseTheDriveIsAndHowToGoOn(t *testing.T) {
	m, d := newDrive(t)
	must(t, d.PutReadme("Ada, +44 20 7946 0000"))
	text := readFile(t, m, "waterlock/README.txt")
	for _, want := range []string{"test drive", d.ID().String(), "give it back to:\r\n\r\n    Ada, +44 20 7946 0000\r\n", "wl run", "not on this drive"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	if strings.Count(text, "\n") != strings.Count(text, "\r\n") {
		t.Error("mixed line ends")
	}
	// Written again with a program, the contact stays.
	_, err := d.PutProgram(testProgram(1))
	must(t, err)
	must(t, d.PutReadme(""))
	text = readFile(t, m, "waterlock/README.txt")
	if !strings.Contains(text, "    Ada, +44 20 7946 0000\r\n") || !strings.Contains(text, "./bin/wl-linux-amd64 run") {
		t.Error(text)
	}
	for _, bad := range []string{"a\nb", "\x1b[2J", "\xff", strings.Repeat("x", MaxContact+1)} {
		if err := d.PutReadme(bad); exit.Of(err) != exit.Usage {
			t.Errorf("%q: %v", bad, err)
		}
	}
	// What somebody wrote there is not believed further than a line of text.
	must(t, m.Remove("waterlock/README.txt"))
	_, err = disk.PutFinal(m, "waterlock/README.txt", []byte(contactLine+"\r\n\r\n    \x1b[2Jx\r\n"))
	must(t, err)
	if got := d.contact(); got != "" {
		t.Errorf("contact %q", got)
	}
}

func TestFindDrivesCountsADriveOnceAndOnlyWhereItIsValid(t *testing.T) {
	root := t.TempDir()
	var dirs []string
	for _, name := range []string{"a", "b", "folder", "bad"} {
		fsys, err := disk.Dir(root)
		must(t, err)
		must(t, fsys.Mkdir(name, 0o755))
		fsys.Close()
		dirs = append(dirs, root+"/"+name)
	}
	for _, dir := range dirs[:2] {
		fsys, err := disk.Dir(dir)
		must(t, err)
		d, err := InitDrive(fsys, "drive "+dir[len(dir)-1:])
		must(t, err)
		must(t, d.Close())
	}
	for _, dir := range dirs[2:] {
		fsys, err := disk.Dir(dir)
		must(t, err)
		must(t, fsys.Mkdir("waterlock", 0o755))
		if strings.HasSuffix(dir, "bad") {
			_, err := disk.PutFinal(fsys, driveFile, []byte(`{"format": 1}`))
			must(t, err)
		}
		fsys.Close()
	}
	found, bad, err := FindDrives(append(dirs, dirs[0], root+"/nothing"))
	must(t, err)
	if len(bad) != 1 || !strings.Contains(bad[0].Error(), root+"/bad/") {
		t.Errorf("bad drives: %v", bad)
	}
	var mine []Found
	for _, f := range found {
		if strings.HasPrefix(f.Path, root) {
			mine = append(mine, f)
		}
	}
	if len(mine) != 2 || mine[0].Path != dirs[0] || mine[0].Label != "drive a" || mine[1].Path != dirs[1] {
		t.Error(mine)
	}
}

// calls notes the changes of directories and the syncs of one directory in their order.
type calls struct {
	disk.FS
	list []string
}

func (c *calls) Create(name string, perm uint32) (disk.File, error) {
	c.list = append(c.list, "create "+name)
	return c.FS.Create(name, perm)
}

func (c *calls) Remove(name string) error {
	c.list = append(c.list, "remove "+name)
	return c.FS.Remove(name)
}

func (c *calls) SyncDir(name string) error {
	c.list = append(c.list, "sync "+name)
	return c.FS.SyncDir(name)
}

// A file system that keeps no order among the names of a directory must not bring back a .b3 without its program, nor a
// program beside the .b3 of another one: between any two of these names the directory is synced.
func TestTheNamesOfAProgramAndItsChecksumAreSyncedApart(t *testing.T) {
	m, _ := newDrive(t)
	c := &calls{FS: m}
	d := reopen(t, c)
	const program, sum, sync = "waterlock/bin/wl-linux-amd64", "waterlock/bin/wl-linux-amd64.b3", "sync waterlock/bin"
	for seed, want := range [][]string{
		{"remove " + sum, sync, "create " + program, sync, "create " + sum, sync},
		{"remove " + sum, sync, "create " + program, "remove " + program, "create " + program, sync, "create " + sum, sync},
	} {
		c.list = nil
		_, err := d.PutProgram(testProgram(uint64(seed)))
		must(t, err)
		in := slices.DeleteFunc(c.list, func(call string) bool { return !strings.Contains(call, " waterlock/bin") })
		if !slices.Equal(in, want) {
			t.Errorf("%d: %q, want %q", seed, in, want)
		}
	}
}
