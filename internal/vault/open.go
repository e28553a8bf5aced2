package vault

import (
	"context"
	"errors"
	"path/filepath"

	"waterlock/chunkstore"
	"waterlock/index"
	"waterlock/internal/disk"
	"waterlock/internal/exit"
	"waterlock/internal/report"
)

// vault is an open, locked vault.
type vault struct {
	path string // absolute
	root disk.FS
	settings
	commits *commits
	rep     report.Reporter

	lock    *disk.Lock
	closers []disk.FS
	vols    []chunkstore.Volume
	store   *chunkstore.Store
	cat     *index.Catalog
}

// openRoot opens the directory of a vault. A variable for tests whose disk loses power.
var openRoot = disk.Dir

// openVault locks a vault and reads its settings and the heads of its snapshots. Its chunks come with openStore, once
// all trees are known.
func openVault(path string, rep report.Reporter) (_ *vault, err error) {
	if rep == nil {
		rep = report.Discard
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	v := &vault{path: abs, rep: rep}
	defer func() {
		if err != nil {
			v.close()
		}
	}()
	if v.root, err = openRoot(abs); err != nil {
		return nil, exit.With(exit.NotFound, err)
	}
	if v.settings, err = readSettings(v.root, abs); err != nil {
		return nil, err
	}
	if v.lock, err = lockVault(abs); err != nil {
		return nil, err
	}
	if v.commits, err = openCommits(v.root, v.id, rep); err != nil {
		return nil, err
	}
	return v, nil
}

func lockVault(path string) (*disk.Lock, error) {
	lock, err := disk.TryLock(filepath.Join(path, filepath.FromSlash(lockFile)))
	if errors.Is(err, disk.ErrLocked) {
		return nil, exit.Errorf(exit.Locked, "%s: another wl works on this vault: run this again when it has ended", path)
	}
	return lock, err
}

// openStore opens the vault's chunks: the last install batch is finished, and the catalog rebuilt where it cannot be
// trusted.
func (v *vault) openStore(ctx context.Context) error {
	if err := v.treesBefore(); err != nil {
		return err
	}
	vols, closers, err := volumes(v.root, v.settings, v.path, v.commits.trees, v.rep)
	v.closers, v.vols = closers, vols
	if err != nil {
		return err
	}
	v.store, err = chunkstore.Open(ctx, chunkstore.Config{
		Vault:    v.root,
		Route:    v.id,
		Volumes:  vols,
		IndexDir: filepath.Join(v.path, filepath.FromSlash(indexDir)),
		Report:   v.rep,
	})
	if err != nil {
		v.store = nil
		return v.whatTakesRoom(ctx, err)
	}
	v.cat = v.store.Catalog()
	if !v.store.Rebuilt() {
		return nil
	}
	newest, _, err := newestReceipt(v.root, v.id, v.rep)
	if err != nil {
		return err
	}
	return v.reviseWants(newest)
}

// closeStore closes the vault's chunks, to be opened anew. The error is the catalog's: it will be rebuilt.
func (v *vault) closeStore() (err error) {
	if v.store != nil {
		err = v.store.Close()
		v.store, v.cat = nil, nil
	}
	for _, c := range v.closers {
		c.Close()
	}
	v.closers, v.vols = nil, nil
	return err
}

// close gives everything back, in the reverse order. The error is that of closeStore.
func (v *vault) close() error {
	err := v.closeStore()
	if v.root != nil {
		v.root.Close()
	}
	if v.lock != nil {
		v.lock.Unlock()
	}
	return err
}

// closeInto closes the vault at the end of a command and keeps the first error.
func (v *vault) closeInto(err *error) {
	if e := v.close(); *err == nil {
		*err = e
	}
}

// interrupted gives an error the exit code of a run that a person stopped, if one did.
func interrupted(ctx context.Context, err error) error {
	stop := ctx.Err()
	if err == nil || stop == nil {
		return err
	}
	if !errors.Is(err, stop) {
		err = errors.Join(stop, err)
	}
	return exit.With(exit.Interrupted, err)
}
