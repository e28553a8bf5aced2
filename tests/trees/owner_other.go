//go:build !unix

package trees

import "io/fs"

func owner(fs.FileInfo, *Facts) (id [2]uint64, links uint64) { return id, 1 }
