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
	aclHeader   = 4
	aclEntry    = 8
	aclTagOwner = 1 // the owner of the file
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

// Trusted tells whether programs or the kernel trust an attribute: whoever
// sets it hands on rights.
func Trusted(xattr string) bool {
	if strings.HasPrefix(xattr, "security.") || strings.HasPrefix(xattr, "trusted.") {
		return true
	}
	return strings.HasPrefix(xattr, "system.") && !strings.HasPrefix(xattr, aclPrefix)
}
