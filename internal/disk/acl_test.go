package disk

import (
	"bytes"
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
