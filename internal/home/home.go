// Package home is the near end of a route: it surveys the trees, packs what the vault lacks onto a courier drive,
// and learns from receipts what has arrived.
//
// A file counts as unchanged as long as size, mtime, ctime and inode are; under a new path, where the ctime says
// nothing, as long as size, mtime, inode and time of birth are. So one thing escapes it: a file whose content was
// changed in place to the same size, whose mtime was set back, and that was then renamed, all between two packs.
package home

// Tree is one named source directory of a route.
type Tree struct {
	Name string `toml:"name"`
	Path string `toml:"path"`
	Exclusions
	// What is carried before everything else, or after it, where not all can be.
	Priority Priority `toml:"priority,omitempty"`
	First    []string `toml:"first,omitempty"` // patterns; they win over last, both over priority
	Last     []string `toml:"last,omitempty"`
	// Patterns of what may vanish without a question: it leaves the vault's mirror, or stays in it.
	Propagate []string `toml:"propagate,omitempty"`
	Keep      []string `toml:"keep,omitempty"`
}
