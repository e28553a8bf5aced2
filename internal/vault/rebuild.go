package vault

import (
	"context"
	"os"
	"path/filepath"
	"time"

	"waterlock/internal/report"
)

// RebuildOptions ask for a new catalog.
type RebuildOptions struct {
	Vault  string
	Report report.Reporter
}

// RebuildResult counts what the new catalog has.
type RebuildResult struct {
	Path                      string // of the vault, absolute
	Route                     string
	Places, Containers, Paths int64
	Wants                     int64 // chunks that a snapshot names, the vault lacks and nothing under way brings
	Snapshots                 int   // known
	Arrived                   int   // of them, every chunk of which is in the vault
	Took                      time.Duration
}

// Rebuild deletes the catalog and makes it anew from install records, the tables of packs, and the lists of files: what is
// lost with it is when each container was read last. It reads no content but of files that were touched. Interrupted, it is
// simply run again, or the next command does it.
func Rebuild(ctx context.Context, o RebuildOptions) (res RebuildResult, err error) {
	began := time.Now()
	v, err := openVault(o.Vault, o.Report)
	if err != nil {
		return res, err
	}
	defer v.closeInto(&err)
	res.Path, res.Route = v.path, v.RouteName
	if err := os.RemoveAll(filepath.Join(v.path, filepath.FromSlash(indexDir))); err != nil {
		return res, err
	}
	if err := v.openStore(ctx); err != nil {
		return res, interrupted(ctx, err)
	}
	v.rep.Phase("looking up what the snapshots name", 0, 0)
	a, err := v.checkArrivals(ctx, nil)
	if err != nil {
		return res, interrupted(ctx, err)
	}
	for _, k := range v.commits.known {
		res.Snapshots++
		if a.by[k.file].arrived {
			res.Arrived++
		}
	}
	st, err := v.cat.Stats()
	res.Places, res.Containers, res.Paths, res.Wants = st.Places, st.Containers, st.Paths, st.Wants
	res.Took = time.Since(began)
	return res, err
}
