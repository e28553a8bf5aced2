package snapshot

import (
	"os/user"
	"runtime"
	"strconv"
	"strings"
)

// ownerNames remembers the names of users and groups by their numbers: one
// look-up each.
type ownerNames struct {
	users, groups map[uint32]string
}

// maxOwnerNames bounds what is remembered.
const maxOwnerNames = 1 << 16

func newOwnerNames() *ownerNames {
	return &ownerNames{users: map[uint32]string{}, groups: map[uint32]string{}}
}

func (o *ownerNames) user(id uint32) string {
	return lookUp(o.users, id, func(id string) (string, error) {
		u, err := user.LookupId(id)
		if err != nil {
			return "", err
		}
		return u.Username, nil
	})
}

func (o *ownerNames) group(id uint32) string {
	return lookUp(o.groups, id, func(id string) (string, error) {
		g, err := user.LookupGroupId(id)
		if err != nil {
			return "", err
		}
		return g.Name, nil
	})
}

// lookUp returns the name for a number; "" where it has none or an odd one.
func lookUp(known map[uint32]string, id uint32, find func(string) (string, error)) string {
	name, ok := known[id]
	if ok || runtime.GOOS == "windows" {
		return name
	}
	name, err := find(strconv.FormatUint(uint64(id), 10))
	if err != nil || len(name) > MaxOwner || strings.IndexByte(name, 0) >= 0 {
		name = ""
	}
	if len(known) >= maxOwnerNames {
		clear(known)
	}
	known[id] = name
	return name
}
