package snapshot

import (
	"context"

	"waterlock/internal/disk"
	"waterlock/internal/report"
)

// RestoreOptions say what to restore and where to.
type RestoreOptions struct {
	Target     disk.FS // an existing directory that becomes the root of the tree
	Tree       TreeRecord
	Get        Getter
	Paths      []string // only what is under these; none: all of it
	Overwrite  bool     // replace what is there and differs
	DryRun     bool     // write nothing
	Privileged bool     // setuid and setgid bits, device nodes, security. and trusted. attributes too
	Report     report.Reporter
}

// RestoreResult counts what Restore did.
type RestoreResult struct {
	Files, Dirs, Others int64 // now there as in the snapshot, by kind
	Bytes               int64 // content of files written (or to be written: dry run)
	AlreadyThere        int64 // files found equal and left as they are
	Failed              int64 // problems: entries not restored, or not exactly
	Pending             int64 // files restored in the last version carried
	Unseen              int64 // entries restored from an earlier reading
	NotFound            int64 // paths asked for that the snapshot does not have
	Dropped             int64 // entries that lost bits, attributes or nodes that need Privileged
	OwnerUnset          int64 // entries whose owner this user may not set
	Gaps                int64 // stream chunks that could not be read
}

// Restore writes the entries of a tree to a target directory and verifies what
// it wrote.
func Restore(ctx context.Context, o RestoreOptions) (RestoreResult, error) { panic("unwritten") }
