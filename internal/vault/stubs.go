package vault

import "context"

// Unpack takes what the drive brings: unpack.go.
func Unpack(ctx context.Context, o UnpackOptions) (UnpackResult, error) { panic("unwritten") }

// Snapshots lists the snapshots of a vault, oldest first.
func Snapshots(ctx context.Context, o SnapshotsOptions) ([]SnapshotInfo, error) { panic("unwritten") }

// Restore writes a snapshot, or parts of it, into a directory.
func Restore(ctx context.Context, o RestoreOptions) (RestoreResult, error) { panic("unwritten") }

// Verify reads a vault back.
func Verify(ctx context.Context, o VerifyOptions) (VerifyResult, error) { panic("unwritten") }

// Status says how a vault stands.
func Status(ctx context.Context, o StatusOptions) (StatusResult, error) { panic("unwritten") }
