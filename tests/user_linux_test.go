package tests

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/pkg/xattr"

	"waterlock/tests/trees"
)

// nobody is a user without rights.
const nobody = 65534

// asUser runs wl for the vault as an ordinary user: as nobody where the tests
// run as root. It must exit with the code.
func (w *world) asUser(code int, args ...string) string {
	w.t.Helper()
	cmd := w.cmd(w.vState, args...)
	if os.Geteuid() == 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	}
	return w.finish(code, cmd)
}

// forUser makes a directory that the ordinary user owns.
func (w *world) forUser(dir string) string {
	w.t.Helper()
	must(w.t, os.MkdirAll(dir, 0o755))
	if os.Geteuid() == 0 {
		for _, d := range []string{binaryDir, w.dir, filepath.Dir(w.dir)} {
			must(w.t, os.Chmod(d, 0o755)) // they may be passed through
		}
		must(w.t, filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error {
			if err != nil {
				return err
			}
			return os.Lchown(path, nobody, nobody)
		}))
	}
	return dir
}

// openAtEnd opens directories that their owner may not write, so that they can
// be removed.
func openAtEnd(t testing.TB, dir string) {
	t.Cleanup(func() {
		_ = filepath.WalkDir(dir, func(path string, d os.DirEntry, _ error) error {
			if d != nil && d.IsDir() {
				_ = os.Chmod(path, 0o755)
			}
			return nil
		})
	})
}

// A vault works without root: files that nobody may read and directories that
// nobody may write at home, owners of all kinds. What lies in the mirror stays
// usable for its user; the snapshots have everything exactly, and root gets it
// back.
func TestVaultAsAnOrdinaryUser(t *testing.T) {
	t.Parallel()
	needAccessLists(t)
	root := os.Geteuid() == 0
	if !root {
		t.Log("no owners but this user's are tested: that needs root")
	}
	w := newWorld(t)
	openAtEnd(t, w.dir)
	home := filepath.Join(w.home, "t")
	write := func(name, content string, mode os.FileMode) string {
		path := filepath.Join(home, name)
		must(t, os.MkdirAll(filepath.Dir(path), 0o755))
		must(t, os.WriteFile(path, []byte(content), 0o600))
		must(t, os.Chmod(path, mode))
		return path
	}
	write("plain", "plain", 0o644)
	write("closed/f", "in 0555", 0o444)
	write("closed/sub/g", "below 0555", 0o644)
	hide := func(path string) {
		if root { // an ordinary user could not read it at home
			must(t, os.Chmod(path, 0))
		}
	}
	hide(write("secret", "nobody may read this", 0o600))
	listed := write("listed", "closed to its owner by a list", 0o600)
	if root {
		must(t, xattr.Set(listed, accessName, accessList(0, 4, 0, 0)))
		hide(filepath.Dir(write("hidden/f", "in a directory of mode 0", 0o600)))
		must(t, os.Chown(filepath.Join(home, "plain"), 1234, 4321))
		must(t, os.Chown(filepath.Join(home, "closed"), 1234, 0))
		write("setuid", "#!/bin/sh\n", 0o4755)
	}
	must(t, os.Mkdir(filepath.Join(home, "lists"), 0o755))
	must(t, xattr.Set(filepath.Join(home, "lists"), defaultName, accessList(5, 5, 5, 0)))
	must(t, os.Mkdir(filepath.Join(home, "lists", "sub"), 0o755)) // inherits, and is closed to its owner
	must(t, os.Chmod(filepath.Join(home, "lists", "sub"), 0o755))
	write("lists/sub/h", "h", 0o600)
	must(t, os.Chmod(filepath.Join(home, "lists", "sub"), 0o555))
	must(t, os.Chmod(filepath.Join(home, "closed", "sub"), 0o555))
	must(t, os.Chmod(filepath.Join(home, "closed"), 0o555))

	first := w.take("t")
	w.begin("t")
	w.pack()
	w.forUser(w.vState)
	place := w.forUser(filepath.Join(w.dir, "user"))
	w.vault = filepath.Join(place, "vault")
	w.asUser(0, "vault", "init", w.vault, "--drive", w.drive)
	if root {
		// What root packed at home may be read here; the receipt needs one directory.
		out := w.asUser(3, "unpack", "--drive", w.drive, "--vault", w.vault)
		if !strings.Contains(out, "right to write in that directory") {
			t.Errorf("no word of how the receipt comes onto the drive:\n%s", out)
		}
		route, err := filepath.Glob(filepath.Join(w.drive, "waterlock", strings.Repeat("?", 32)))
		if err != nil || len(route) != 1 {
			t.Fatalf("%v, %v", route, err)
		}
		must(t, os.Chown(route[0], nobody, nobody))
	}
	w.asUser(0, "unpack", "--drive", w.drive, "--vault", w.vault)
	w.usable()

	// The vault's user closes what is open; home puts new files into what it has closed.
	for _, name := range []string{"closed", "closed/sub", "lists", "plain"} {
		must(t, os.Chmod(filepath.Join(w.vault, "t", name), 0o111))
	}
	must(t, os.Chmod(filepath.Join(home, "closed"), 0o755))
	write("closed/new", "new in 0555", 0o400)
	must(t, os.Chmod(filepath.Join(home, "closed", "sub"), 0o755))
	write("closed/sub/g", "edited below 0555", 0o444)
	must(t, os.Chmod(filepath.Join(home, "closed", "sub"), 0o555))
	must(t, os.Chmod(filepath.Join(home, "closed"), 0o555))
	hide(write("secret", "nobody may read this either", 0o600))
	second := w.take("t")
	w.pack()
	w.asUser(0, "unpack", "--drive", w.drive, "--vault", w.vault)
	w.usable()
	for name, want := range map[string]string{
		"closed/new": "new in 0555", "closed/sub/g": "edited below 0555", "secret": "nobody may read this either", "plain": "plain",
	} {
		if got, err := os.ReadFile(filepath.Join(w.vault, "t", name)); err != nil || string(got) != want {
			t.Errorf("mirror: %s: %q, %v", name, got, err)
		}
	}
	if out := w.asUser(0, "verify", "--vault", w.vault); !strings.Contains(out, "No damage") {
		t.Error(out)
	}

	// The ordinary user gets contents and modes, and is told once that owners are lacking.
	back := filepath.Join(place, "back")
	if !root {
		w.asUser(0, "restore", "--vault", w.vault, "--snapshot", "1", "--target", back)
		same(t, "restored", first, filepath.Join(back, "t"))
		return
	}
	out := w.asUser(3, "restore", "--vault", w.vault, "--snapshot", "1", "--target", back)
	if n := strings.Count(out, "owners of"); n != 1 || strings.Contains(out, "problem") {
		t.Errorf("owners are named %d times:\n%s", n, out)
	}
	got := takeDir(t, filepath.Join(back, "t"))
	for name, f := range got {
		want := first[name]
		want.UID, want.GID = nobody, nobody
		want.Mode &^= os.ModeSetuid
		if f.Mode != want.Mode || f.Content != want.Content || f.MTime != want.MTime || f.UID != nobody || strings.Join(f.Xattrs, " ") != strings.Join(want.Xattrs, " ") {
			t.Errorf("%s: %+v, want %+v", name, f, want)
		}
	}
	if len(got) != len(first) {
		t.Errorf("%d paths came back, want %d", len(got), len(first))
	}

	// Root gets everything back from the same vault.
	for which, want := range map[string]trees.Tree{"1": first, "2": second} {
		target := filepath.Join(w.dir, "root-"+which)
		w.atVault("restore", "--vault", w.vault, "--snapshot", which, "--target", target, "--privileged")
		same(t, "restored as root", want, filepath.Join(target, "t"))
	}
}

// usable fails unless the vault's user may read and write all of the mirror,
// and nothing in it hands on rights.
func (w *world) usable() {
	w.t.Helper()
	must(w.t, filepath.WalkDir(filepath.Join(w.vault, "t"), func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		st, err := os.Lstat(path)
		if err != nil {
			return err
		}
		needs := os.FileMode(0o600)
		if d.IsDir() {
			needs = 0o700
		}
		if st.Mode().Perm()&needs != needs || st.Mode()&os.ModeSetuid != 0 {
			w.t.Errorf("mirror: %s has mode %v", path, st.Mode())
		}
		return nil
	}))
}

// What a drive brings hands on no rights: neither in the mirror of a vault that
// runs as root nor on restore, unless a flag asks for it.
func TestADriveHandsOnNoRights(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("only root can make what is not to be handed on")
	}
	w := newWorld(t)
	home := filepath.Join(w.home, "t")
	must(t, os.MkdirAll(home, 0o755))
	at := func(dir, name string) string { return filepath.Join(dir, name) }
	for name, mode := range map[string]os.FileMode{
		"setuid": 0o755 | os.ModeSetuid, "setgid": 0o755 | os.ModeSetgid, "capable": 0o755, "trusted": 0o600,
	} {
		must(t, os.WriteFile(at(home, name), []byte("#!/bin/sh\n"), 0o600))
		must(t, os.Chmod(at(home, name), mode))
	}
	// cap_net_raw, permitted and effective, in the kernel's second version.
	if err := xattr.Set(at(home, "capable"), "security.capability", []byte{1, 0, 0, 2, 0, 32, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}); err != nil {
		t.Skip("no capabilities here: ", err)
	}
	must(t, xattr.Set(at(home, "trusted"), "trusted.x", []byte("y")))
	if err := syscall.Mknod(at(home, "null"), syscall.S_IFCHR|0o666, 1<<8|3); err != nil {
		t.Skip("no devices can be made here: ", err)
	}
	w.begin("t")
	w.pack()
	w.joinAndUnpack()

	rights := func(dir string) (found []string) {
		t.Helper()
		for _, name := range []string{"setuid", "setgid", "capable", "trusted", "null"} {
			st, err := os.Lstat(at(dir, name))
			if err != nil {
				continue
			}
			names, err := xattr.LList(at(dir, name))
			must(t, err)
			if st.Mode()&(os.ModeSetuid|os.ModeSetgid|os.ModeDevice) != 0 || len(names) > 0 {
				found = append(found, name)
			}
		}
		return found
	}
	if got := rights(home); len(got) != 5 {
		t.Fatalf("at home: %v", got)
	}
	if got := rights(filepath.Join(w.vault, "t")); len(got) != 0 {
		t.Errorf("in the mirror: %v", got)
	}
	target := filepath.Join(w.dir, "back")
	out := w.atVault("restore", "--vault", w.vault, "--snapshot", "1", "--target", target)
	if got := rights(filepath.Join(target, "t")); len(got) != 0 || !strings.Contains(out, "--privileged brings them back") {
		t.Errorf("restored: %v\n%s", got, out)
	}
	target = filepath.Join(w.dir, "privileged")
	w.atVault("restore", "--vault", w.vault, "--snapshot", "1", "--target", target, "--privileged")
	if got := rights(filepath.Join(target, "t")); len(got) != 5 {
		t.Errorf("with --privileged: %v", got)
	}
	st, err := os.Lstat(at(filepath.Join(target, "t"), "null"))
	must(t, err)
	if st.Sys().(*syscall.Stat_t).Rdev != 1<<8|3 {
		t.Errorf("device %x", st.Sys().(*syscall.Stat_t).Rdev)
	}
}
