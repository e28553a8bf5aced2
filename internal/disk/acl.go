package disk

import (
	"encoding/binary"
	"slices"
	"strings"
)

// POSIX access lists are attributes. Their format, little endian (Linux
// posix_acl_xattr.h): u32 version, 2; then for each entry u16 tag, u16
// permissions (4 read, 2 write, 1 execute), u32 id.
const (
	aclPrefix   = "system.posix_acl_" // access, default
	aclAccess   = aclPrefix + "access"
	aclHeader   = 4
	aclEntry    = 8
	aclTagOwner = 1 // the owner of the file
	aclTagGroup = 4 // its group
)

// GrantOwner returns attributes whose access lists give the owner these
// permissions (4 read, 2 write, 1 execute) at least; what they give to others
// stays. A list without an entry for the owner, which no kernel takes, stays as
// it is.
func GrantOwner(xattrs []Xattr, perm uint16) []Xattr {
	out := xattrs
	for i, x := range xattrs {
		if !strings.HasPrefix(x.Name, aclPrefix) {
			continue
		}
		for at := aclHeader; at+aclEntry <= len(x.Value); at += aclEntry {
			have := binary.LittleEndian.Uint16(x.Value[at+2:])
			if binary.LittleEndian.Uint16(x.Value[at:]) != aclTagOwner || have&perm == perm {
				continue
			}
			if &out[0] == &xattrs[0] {
				out = slices.Clone(xattrs)
			}
			value := slices.Clone(out[i].Value)
			binary.LittleEndian.PutUint16(value[at+2:], have|perm)
			out[i].Value = value
		}
	}
	return out
}

// modeWithoutList is the mode of an entry until its access list is set, which
// then sets the mode, or for good where no list can be set. With a list the
// group's bits of a mode are what any entry of it may have at most; without one
// they are what the group has, which may be less.
func modeWithoutList(mode uint32, xattrs []Xattr) uint32 {
	for _, x := range xattrs {
		if x.Name != aclAccess {
			continue
		}
		group := uint32(0)
		for at := aclHeader; at+aclEntry <= len(x.Value); at += aclEntry {
			if binary.LittleEndian.Uint16(x.Value[at:]) == aclTagGroup {
				group = uint32(binary.LittleEndian.Uint16(x.Value[at+2:])) & 7
			}
		}
		return mode&^0o070 | mode&(group<<3)
	}
	return mode
}

// Trusted tells whether programs or the kernel trust an attribute: whoever
// sets it hands on rights.
func Trusted(xattr string) bool {
	if strings.HasPrefix(xattr, "security.") || strings.HasPrefix(xattr, "trusted.") {
		return true
	}
	return strings.HasPrefix(xattr, "system.") && !strings.HasPrefix(xattr, aclPrefix)
}
