// Package home is the near end of a route: it surveys the trees, packs what the vault lacks onto a courier drive,
// and learns from receipts what has arrived.
package home

// Tree is one named source directory of a route.
type Tree struct {
	Name string `toml:"name"`
	Path string `toml:"path"`
}
