// Package home is the near end of a route: it surveys the trees, packs what the vault lacks onto a courier drive,
// and learns from receipts what has arrived.
package home

import "context"

// Tree is one named source directory of a route.
type Tree struct {
	Name string `toml:"name"`
	Path string `toml:"path"`
}

// Init makes a route over the directories given.
func Init(ctx context.Context, o InitOptions) (InitResult, error) { panic("unwritten") }

// Pack carries what the vault lacks onto a drive: pack.go.
func Pack(ctx context.Context, o PackOptions) (PackResult, error) { panic("unwritten") }

// Status says how a route stands.
func Status(ctx context.Context, o StatusOptions) (StatusResult, error) { panic("unwritten") }

// ClearDrive deletes the shipments that a receipt acknowledged in full.
func ClearDrive(ctx context.Context, o ClearOptions) (ClearResult, error) { panic("unwritten") }
