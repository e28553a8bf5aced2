//go:build !linux

package disk

import "errors"

// CloneRange: systems that share whole files only are of no use here.
func (d *dir) CloneRange(from, to string, off, n int64) error {
	return d.err("clone", to, errors.ErrUnsupported)
}
