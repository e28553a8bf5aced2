package snapshot

import (
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"

	"waterlock/internal/disk"
	"waterlock/internal/disk/disktest"
	"waterlock/internal/report"
)

// poor is a file system without links, access lists and half of the times, as
// those of drives are.
type poor struct{ disk.FS }

func (p poor) Sub(name string) (disk.FS, error) {
	sub, err := p.FS.Sub(name)
	return poor{sub}, err
}

func (p poor) Link(_, newname string) error {
	return &os.LinkError{Op: "link", New: newname, Err: syscall.EPERM}
}

func (p poor) Symlink(_, name string) error {
	return &os.PathError{Op: "symlink", Path: name, Err: syscall.EPERM}
}

func (p poor) SetMeta(name string, m disk.Meta, o disk.MetaOptions) error {
	m.MTime.Sec, m.MTime.Nsec = m.MTime.Sec&^1, 0
	var failed []disk.MetaProblem
	for _, x := range m.Xattrs {
		failed = append(failed, disk.MetaProblem{What: x.Name, Err: syscall.ENOTSUP})
	}
	m.Xattrs = nil
	if err := p.FS.SetMeta(name, m, o); err != nil || failed == nil {
		return err
	}
	return &disk.MetaError{Name: name, Problems: failed}
}

// What a target cannot hold is said once for each kind of thing, with a count,
// and everything else comes back.
func TestRestoreSaysWhatTheTargetDoesNotTake(t *testing.T) {
	m := memory{}
	uid, gid := uint32(max(os.Geteuid(), 0)), uint32(max(os.Getegid(), 0))
	tree := []*Entry{{Kind: disk.KindDir, Mode: 0o700, UID: uid, GID: gid}}
	for i, name := range []string{"a", "b", "c", "d"} {
		e := &Entry{Path: name, Kind: disk.KindFile, Mode: 0o600, UID: uid, GID: gid, MTime: disk.Time{Sec: 1000 + int64(i)}}
		switch name {
		case "a":
			e.Xattrs = []disk.Xattr{{Name: "system.posix_acl_access", Value: []byte("list")}, {Name: "user.a"}, {Name: "user.b"}}
		case "b", "c":
			e.LinkGroup, e.MTime.Sec = 7, 1000
		}
		m.setContent(e, []byte("x"))
		tree = append(tree, e)
	}
	tree = append(tree,
		&Entry{Path: "l1", Kind: disk.KindSymlink, Target: "a", UID: uid, GID: gid},
		&Entry{Path: "l2", Kind: disk.KindSymlink, Target: "a", UID: uid, GID: gid})
	rec, err := m.write(tree)
	must(t, err)
	mem := disktest.NewMem()
	var rep report.Recorder
	res := restore(t, RestoreOptions{Target: poor{mem}, Tree: rec, Get: m, Report: &rep})
	got := map[string]int64{}
	for _, u := range res.Unset {
		got[u.What] = u.Entries
		if u.Why == "" || !strings.Contains(u.String(), u.What) {
			t.Errorf("%+v", u)
		}
	}
	want := map[string]int64{"access lists": 1, "user.* attributes": 1, "hard links": 1, "symlinks": 2, "times": 1}
	for what, n := range want {
		if got[what] != n {
			t.Errorf("%s: %d, want %d", what, got[what], n)
		}
	}
	if len(got) != len(want) || len(rep.Problems()) != 0 {
		t.Errorf("%v, problems %v", got, rep.Problems())
	}
	for _, name := range []string{"a", "b", "c", "d"} {
		if data, err := disk.ReadAll(mem, name, 10); err != nil || string(data) != "x" {
			t.Errorf("%s: %q, %v", name, data, err)
		}
	}
}

// With the flag root gets back what hands on rights.
func TestRestorePrivileged(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root may make devices and set trusted attributes")
	}
	m := memory{}
	e := &Entry{Path: "setuid", Kind: disk.KindFile, Mode: 0o6755, UID: 4711, Xattrs: []disk.Xattr{{Name: "trusted.x", Value: []byte("y")}}}
	m.setContent(e, []byte("x"))
	rec, err := m.write([]*Entry{{Kind: disk.KindDir, Mode: 0o755},
		{Path: "disk", Kind: disk.KindBlockDevice, Mode: 0o640, GID: 6, Rdev: 0x1234}, e,
		{Path: "tty", Kind: disk.KindCharDevice, Mode: 0o600, Rdev: 0x405}})
	must(t, err)
	target, _ := newTarget(t)
	var rep report.Recorder
	res := restore(t, RestoreOptions{Target: target, Tree: rec, Get: m, Report: &rep, Privileged: true})
	if !res.Complete() || res.Dropped != 0 {
		t.Fatalf("%+v %v", res, rep.Problems())
	}
	if slices.ContainsFunc(res.Unset, func(u Unset) bool { return u.What == "devices" || strings.HasPrefix(u.What, "trusted") }) {
		t.Skip("this file system or container takes no devices or trusted attributes: ", res.Unset)
	}
	got := walkAll(t, target)
	if got[1].Kind != disk.KindBlockDevice || got[1].Rdev != 0x1234 || got[1].GID != 6 || got[1].Mode != 0o640 ||
		got[3].Kind != disk.KindCharDevice || got[3].Rdev != 0x405 {
		t.Errorf("%+v\n%+v", got[1], got[3])
	}
	if got[2].Mode != 0o6755 || got[2].UID != 4711 || len(got[2].Xattrs) != 1 {
		t.Errorf("%+v", got[2])
	}
	// Again: all of it is there and equal.
	res = restore(t, RestoreOptions{Target: target, Tree: rec, Get: m, Privileged: true})
	if !res.Complete() || res.AlreadyThere != 3 || res.Kept != 0 {
		t.Errorf("again: %+v", res)
	}
}
