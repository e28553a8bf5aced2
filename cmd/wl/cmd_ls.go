package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"

	"waterlock/internal/disk"
	"waterlock/internal/report"
	"waterlock/internal/vault"
	"waterlock/snapshot"
)

func lsCommand(e *env) *cli.Command {
	return &cli.Command{
		Name:      "ls",
		Usage:     "at the vault: list a directory of a snapshot",
		ArgsUsage: "[TREE[/PATH] ...]",
		Description: describe("Lists the trees of a snapshot, or what lies in the given trees and directories of it. Each line ends\n"+
			"in a path as wl restore, cat and diff take it; control characters in names are written as escapes.\n"+
			"A snapshot is named as for wl restore; without --snapshot it is the latest. Only the part of the\n"+
			"list of files that covers the directory is read, so this is quick in a snapshot of any size.",
			"wl ls",
			"wl ls -l photos/2019",
			"wl ls --snapshot 2026-03-01 -R documents"),
		Flags: []cli.Flag{
			vaultFlag(),
			snapshotFlag(),
			&cli.BoolFlag{Name: "long", Aliases: []string{"l"}, Usage: "show mode, owner, group, size and time of change, too"},
			&cli.BoolFlag{Name: "recursive", Aliases: []string{"R"}, Usage: "list everything under the directories"},
		},
		Action: func(c *cli.Context) error {
			return atVault(c, e, func(ctx context.Context, s *session, dir string) error {
				long := c.Bool("long")
				r, err := vault.List(ctx, vault.ListOptions{
					Vault:     dir,
					Snapshot:  c.String("snapshot"),
					Paths:     c.Args().Slice(),
					Recursive: c.Bool("recursive"),
					Begin: func(ref vault.SnapshotRef) {
						s.Info("Snapshot %d (%s), as of %s.", ref.Number, short(ref.ID), when(ref.Time))
					},
					Entry: func(tree string, entry *snapshot.Entry) error {
						s.Item("entry", entryItem(tree, entry))
						s.Answer("%s", listLine(tree, entry, long))
						return nil
					},
					Report: s,
				})
				if err != nil {
					return err
				}
				s.Rest()
				s.Summary("ls", lsSummary(r))
				tellListed(s, r, long)
				return end(r.Damaged > 0, r.Missing+r.Lacking > 0)
			})
		},
	}
}

func snapshotFlag() *cli.StringFlag {
	return &cli.StringFlag{Name: "snapshot", Aliases: []string{"s"}, Usage: "`WHICH` snapshot: latest, a number, an id, or a time"}
}

func tellListed(s *session, r vault.ListResult, long bool) {
	if long {
		s.Info("%s (%s), %s, %s.", files(r.Files), report.Size(r.Bytes), report.Count(r.Dirs, "directory"), report.Count(r.Others, "other entry"))
	}
	for _, t := range r.Stopped {
		s.Info("This tree stood still, it is shown as it was before: %s", t)
	}
	if r.Pending > 0 {
		s.Info("%s pending: the new content is still at home, the vault has an earlier version or none.", are(r.Pending, "file"))
	}
	if r.Unseen > 0 {
		s.Info("%s unseen: home could not read them this time, they are as it saw them before.", are(r.Unseen, "entry"))
	}
}

// listLine is an entry as ls shows it: its path, and with long what ls -l of
// other systems shows.
func listLine(tree string, e *snapshot.Entry, long bool) string {
	var b strings.Builder
	if long {
		size := ""
		if e.Kind == disk.KindFile {
			size = report.Size(e.Size)
		}
		fmt.Fprintf(&b, "%s %-8s %-8s %10s  %s  ", modeText(e.Kind, e.Mode), owner(e.User, e.UID), owner(e.Group, e.GID), size, when(e.MTime.Time()))
	}
	b.WriteString(fullName(tree, e.Path))
	if e.Kind == disk.KindDir {
		b.WriteByte('/')
	}
	if long && e.Kind == disk.KindSymlink {
		b.WriteString(" -> " + report.Name(e.Target))
	}
	if e.Pending {
		b.WriteString(" (pending)")
	}
	if e.Unseen {
		b.WriteString(" (unseen)")
	}
	return b.String()
}

// fullName is a path as people name it, safe to print: TREE/PATH.
func fullName(tree, path string) string { return report.Name(rawName(tree, path)) }

func owner(name string, id uint32) string {
	if name != "" {
		return report.Name(name)
	}
	return strconv.FormatUint(uint64(id), 10)
}

// modeText is a kind and its mode as ls -l writes them.
func modeText(k disk.Kind, mode uint32) string {
	const rwx = "rwxrwxrwx"
	letters := map[disk.Kind]byte{disk.KindFile: '-', disk.KindDir: 'd', disk.KindSymlink: 'l', disk.KindFifo: 'p',
		disk.KindSocket: 's', disk.KindCharDevice: 'c', disk.KindBlockDevice: 'b'}
	b := []byte{letters[k]}
	for i := range rwx {
		if mode&(1<<(8-i)) != 0 {
			b = append(b, rwx[i])
		} else {
			b = append(b, '-')
		}
	}
	for _, special := range []struct {
		bit  uint32
		at   int
		char byte
	}{{0o4000, 3, 's'}, {0o2000, 6, 's'}, {0o1000, 9, 't'}} {
		if mode&special.bit == 0 {
			continue
		}
		if b[special.at] == '-' {
			special.char -= 'a' - 'A'
		}
		b[special.at] = special.char
	}
	return string(b)
}
