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
	t.Cleanup(func() {
		for _, d := range []string{"closed", "closed/sub", "lists/sub"} {
			os.Chmod(filepath.Join(home, d), 0o755)
		}
	})

	first := w.take("t")
	w.begin("t")
	w.pack()
	w.forUser(w.drive)
	w.forUser(w.vState)
	place := w.forUser(filepath.Join(w.dir, "user"))
	w.vault = filepath.Join(place, "vault")
	w.asUser(0, "vault", "init", w.vault, "--drive", w.drive)
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
	w.forUser(w.drive)
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
