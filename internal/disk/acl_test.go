package disk

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"testing"
)

// acl is an access list; entries are tag, permissions.
func acl(entries ...uint16) []byte {
	b := []byte{2, 0, 0, 0}
	for i := 0; i+1 < len(entries); i += 2 {
		b = append(b, byte(entries[i]), 0, byte(entries[i+1]), 0, 0xff, 0xff, 0xff, 0xff)
	}
	return b
}

func TestGrantOwnerGivesTheOwnerAloneMore(t *testing.T) {
	for name, c := range map[string]struct {
		have, want []byte
		perm       uint16
	}{
		"nothing for the owner": {acl(1, 0, 2, 4, 4, 0, 16, 4, 32, 0), acl(1, 6, 2, 4, 4, 0, 16, 4, 32, 0), 6},
		"some of it":            {acl(1, 5, 4, 5, 32, 0), acl(1, 7, 4, 5, 32, 0), 7},
		"all of it":             {acl(1, 7, 4, 0, 32, 0), acl(1, 7, 4, 0, 32, 0), 6},
		"no owner":              {acl(4, 5), acl(4, 5), 7},
		"cut":                   {acl(1, 0)[:9], acl(1, 0)[:9], 7},
		"empty":                 {nil, nil, 7},
	} {
		for _, kind := range []string{"access", "default"} {
			have := []Xattr{{"security.x", acl(1, 0)}, {"system.posix_acl_" + kind, c.have}, {"user.x", acl(1, 0)}}
			before := bytes.Clone(c.have)
			got := GrantOwner(have, c.perm)
			if !bytes.Equal(got[1].Value, c.want) || len(got) != 3 || !bytes.Equal(got[0].Value, acl(1, 0)) || !bytes.Equal(got[2].Value, acl(1, 0)) {
				t.Errorf("%s: %v, want %v", name, got[1].Value, c.want)
			}
			if !bytes.Equal(c.have, before) || !bytes.Equal(have[1].Value, before) {
				t.Errorf("%s: what was given was changed", name)
			}
		}
	}
}

// The mode of a file with an access list gives the group what the list gives
// anybody. Where the list cannot be set, the group must not get that.
func TestARefusedAccessListGivesTheGroupNoMore(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("no POSIX access lists here")
	}
	path := t.TempDir()
	d, err := Dir(path)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if err := os.WriteFile(filepath.Join(path, "f"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	// A named user and no mask: no kernel takes that.
	refused := []Xattr{{aclAccess, acl(1, 6, 2, 7, 4, 4, 32, 0)}}
	err = d.SetMeta("f", Meta{Mode: 0o670, Xattrs: refused}, MetaOptions{Mode: true})
	var failed *MetaError
	if !errors.As(err, &failed) || len(failed.Problems) != 1 || failed.Problems[0].What != aclAccess {
		t.Fatalf("error %v", err)
	}
	if st, err := d.Stat("f"); err != nil || st.Mode != 0o640 {
		t.Errorf("mode %o, %v", st.Mode, err)
	}
	for _, c := range []struct {
		mode, want uint32
		list       []byte
	}{{0o670, 0o600, nil}, {0o750, 0o750, acl(4, 7)}, {0o2775, 0o2755, acl(4, 5)}} {
		if got := modeWithoutList(c.mode, []Xattr{{aclAccess, c.list}}); got != c.want {
			t.Errorf("%o becomes %o, want %o", c.mode, got, c.want)
		}
	}
}
