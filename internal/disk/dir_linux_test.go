package disk

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestParseMount(t *testing.T) {
	for line, want := range map[string]string{
		`36 35 98:0 /root /mnt rw,noatime master:1 - fuseblk /dev/sdb1 rw`:     "/dev/sdb1",
		`36 35 98:0 / /mnt\040x rw shared:1 master:2 - fuse /dev/a\040\134b r`: `/dev/a \b`,
		`36 35 98:1 / /mnt rw - ext4 /dev/sda1 rw`:                             "",
		`36 35 98:0 / /mnt rw`:        "",
		`36 35`:                       "",
		``:                            "",
		`36 35 98:0 / /mnt rw - fuse`: "",
	} {
		if got, _ := parseMount(line, "98:0"); got != want {
			t.Errorf("%s: %q, want %q", line, got, want)
		}
	}
}

// Kernels before 6.5 have no cachestat: mincore must say the same.
func TestResidentPagesAgreeWithCachestat(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(path, make([]byte, 1<<20+1), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	fd := int(f.Fd())
	if n, err := residentPages(fd); err != nil || n == 0 {
		t.Fatalf("just written: %d pages, %v", n, err)
	}
	if err := f.Sync(); err != nil {
		t.Fatal(err)
	}
	if _, err := drop(fd); err != nil {
		t.Fatal(err)
	}
	resident, err := residentPages(fd)
	if err != nil {
		t.Fatal(err)
	}
	var c unix.Cachestat_t
	if err := unix.Cachestat(uint(fd), &unix.CachestatRange{}, &c, 0); err != nil {
		t.Skip("no cachestat to compare with: ", err)
	}
	if resident != c.Cache {
		t.Errorf("mincore counts %d pages, cachestat %d", resident, c.Cache)
	}
}

// Reading leaves the access times of home's files as they are.
func TestReadingIsQuiet(t *testing.T) {
	path := t.TempDir()
	name := filepath.Join(path, "f")
	if err := os.WriteFile(name, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	old := time.Now().Add(-48 * time.Hour)
	if err := os.Chtimes(name, old, old); err != nil {
		t.Fatal(err)
	}
	d, err := Dir(path)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if _, err := ReadAll(d, "f", 10); err != nil {
		t.Fatal(err)
	}
	var st unix.Stat_t
	if err := unix.Stat(name, &st); err != nil {
		t.Fatal(err)
	}
	if st.Atim.Sec != old.Unix() {
		t.Errorf("the access time moved to %v", time.Unix(st.Atim.Sec, 0))
	}
}

// Root may read and set what programs trust.
func TestPrivilegedAttributes(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root may set trusted attributes")
	}
	path := t.TempDir()
	d, err := Dir(path)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if err := os.WriteFile(filepath.Join(path, "f"), nil, 0); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("f", filepath.Join(path, "l")); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"f", "l"} {
		want := Meta{Mode: 0o4711, UID: 12345, GID: 54321, MTime: Time{-1, 5}, Xattrs: []Xattr{{"trusted.t", []byte("v")}}}
		if err := d.SetMeta(name, want, MetaOptions{Owner: true, Mode: true, Privileged: true}); err != nil {
			t.Skip("not here: ", err)
		}
		st, err := d.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		got, err := d.Meta(name, st)
		if err != nil {
			t.Fatal(err)
		}
		if got.UID != 12345 || got.GID != 54321 || got.MTime != want.MTime || len(got.Xattrs) != 1 || name == "f" && got.Mode != 0o4711 {
			t.Errorf("%s: %+v", name, got)
		}
		want.Xattrs = nil
		if err := d.SetMeta(name, want, MetaOptions{}); err != nil {
			t.Error(err)
		}
		if got, _ := d.Meta(name, st); len(got.Xattrs) != 1 {
			t.Errorf("%s: a trusted attribute was removed unasked", name)
		}
		if err := d.SetMeta(name, want, MetaOptions{Privileged: true}); err != nil {
			t.Error(err)
		}
		if got, _ := d.Meta(name, st); len(got.Xattrs) != 0 {
			t.Errorf("%s: %v", name, got.Xattrs)
		}
	}
}
