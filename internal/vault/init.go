package vault

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"waterlock/internal/courier"
	"waterlock/internal/disk"
	"waterlock/internal/exit"
	"waterlock/internal/report"
)

// Init makes a vault for the route that the drive brings. Nothing is taken off the drive yet; the vault's first receipt
// goes onto it. The directory is a vault once vault.toml has appeared in it, so an interrupted Init is simply run again.
func Init(ctx context.Context, o InitOptions) (InitResult, error) {
	rep := o.Report
	if rep == nil {
		rep = report.Discard
	}
	d, err := courier.OpenDrive(o.Drive)
	if err != nil {
		return InitResult{}, err
	}
	defer d.Close()
	if err := d.Lock(); err != nil {
		return InitResult{}, err
	}
	routes, err := routesOn(d, rep)
	if err != nil {
		return InitResult{}, err
	}
	route, err := chooseRoute(routes, o.Route, o.Drive)
	if err != nil {
		return InitResult{}, err
	}

	path, err := filepath.Abs(o.Path)
	if err != nil {
		return InitResult{}, err
	}
	if inside(path, d.Path()) {
		return InitResult{}, exit.Errorf(exit.Usage, "%s lies on the courier drive; a vault belongs on a disk that stays", path)
	}
	s := settings{
		Overdue:   report.DefaultLimits(),
		Format:    SettingsFormat,
		Route:     route.info.ID.String(),
		RouteName: route.info.Name,
		Created:   time.Now().UTC().Truncate(time.Second),
		Name:      hostName(path),
		Deletions: DeletionsAsk,
		Trees:     o.Trees,
		id:        route.info.ID,
	}
	if s.Trees, err = absolute(o.Trees); err != nil {
		return InitResult{}, err
	}
	for tree := range s.Trees {
		if !slices.Contains(route.trees, tree) {
			return InitResult{}, exit.Errorf(exit.Usage, "route %s has no tree %s, only %s; for one that is still to come edit vault.toml",
				report.Name(s.RouteName), report.Name(tree), report.Name(strings.Join(route.trees, ", ")))
		}
	}
	text, err := s.encode()
	if err != nil {
		return InitResult{}, err
	}
	if _, err := decodeSettings(text); err != nil { // decoded before anything depends on it
		return InitResult{}, exit.With(exit.Usage, err)
	}

	_, err = os.Lstat(path)
	anew := errors.Is(err, fs.ErrNotExist)
	if err := os.MkdirAll(path, 0o755); err != nil {
		return InitResult{}, err
	}
	root, err := openRoot(path)
	if err != nil {
		return InitResult{}, err
	}
	defer root.Close()
	switch _, err := root.Stat(settingsFile); {
	case err == nil:
		return InitResult{}, exit.Errorf(exit.Fatal, "%s is a vault already", path)
	case !errors.Is(err, fs.ErrNotExist):
		return InitResult{}, err
	}
	if err := disk.MkdirAll(root, metaDir, 0o755); err != nil {
		return InitResult{}, err
	}
	lock, err := lockVault(path)
	if err != nil {
		return InitResult{}, err
	}
	defer lock.Unlock()
	if err := probe(root, metaDir); err != nil {
		_ = lock.Unlock() // an open file is in the way of its directory on some file systems
		leaveNothing(root, path, anew)
		return InitResult{}, fmt.Errorf("%s: %w", path, err)
	}
	vols, closers, err := volumes(root, s, path, nil, rep)
	for _, c := range closers {
		defer c.Close()
	}
	if err != nil {
		return InitResult{}, err
	}
	if err := ctx.Err(); err != nil {
		return InitResult{}, exit.With(exit.Interrupted, err)
	}

	receipt, err := firstReceipt(root, d, s, route, rep)
	if err != nil {
		return InitResult{}, err
	}
	if err := keepJoined(root, route.commit); err != nil {
		return InitResult{}, err
	}
	if err := disk.Put(root, settingsFile, text); err != nil {
		return InitResult{}, err
	}

	result := InitResult{Path: path, Route: s.RouteName, RouteID: s.Route}
	if _, err := d.WriteReceipt(receipt); err != nil {
		rep.Warn("the first receipt could not be written onto the drive: %v%s", err, courier.WriteHint(err))
	} else {
		result.DriveTold = true
	}
	for _, vol := range vols {
		result.Trees = append(result.Trees, TreePlace{vol.Tree, s.Trees[vol.Tree]})
	}
	for _, tree := range route.trees {
		if _, elsewhere := s.Trees[tree]; !elsewhere && treeHere(tree) == nil {
			result.Trees = append(result.Trees, TreePlace{tree, filepath.Join(path, tree)})
		}
	}
	return result, nil
}

// leaveNothing takes away what a refused vault was begun with, as far as it is empty; the directory itself if it was made.
func leaveNothing(root disk.FS, path string, made bool) {
	for _, name := range []string{lockFile, metaDir} {
		_ = root.Remove(name)
	}
	if made {
		_ = os.Remove(path)
	}
}

// firstReceipt draws the epoch and writes the receipt that says that nothing has been taken. Its number is 1, unless the
// drive shows that the route had a vault before: then it is above what home knows.
func firstReceipt(root disk.FS, d *courier.Drive, s settings, route broughtRoute, rep report.Reporter) ([]byte, error) {
	_, number, err := newestReceipt(root, s.id, rep)
	if err != nil {
		return nil, err
	}
	onDrive, problems, err := d.ReadReceipts(s.id)
	if err != nil {
		return nil, err
	}
	for _, p := range problems {
		rep.Problem("receipts on the drive", p)
	}
	for _, found := range onDrive {
		number = max(number, found.Receipt.Number)
	}
	r := &courier.Receipt{
		Route:     s.id,
		VaultName: s.Name,
		Epoch:     drawEpoch(),
		Number:    max(number, route.highest) + 1,
		Time:      time.Now(),
	}
	if space, err := root.Free(); err == nil {
		r.Free, r.Total = space.Avail, space.Total
	}
	if r.Number > 1 { // home counts on a vault that was there before
		if err := offerInventory(root); err != nil {
			return nil, err
		}
	}
	return putReceipt(root, r)
}

func drawEpoch() (e courier.Epoch) {
	rand.Read(e[:])
	return e
}

// absolute makes the directories of trees absolute.
func absolute(trees map[string]string) (map[string]string, error) {
	out := map[string]string{}
	for tree, dir := range trees {
		if err := treeHere(tree); err != nil {
			return nil, exit.With(exit.Usage, err)
		}
		abs, err := filepath.Abs(dir)
		if err != nil {
			return nil, err
		}
		out[tree] = abs
	}
	return out, nil
}

func hostName(path string) string {
	if name, err := os.Hostname(); err == nil && name != "" {
		return name
	}
	return filepath.Base(path)
}
