package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/urfave/cli/v2"

	"waterlock/internal/courier"
	"waterlock/internal/disk"
	"waterlock/internal/exit"
	"waterlock/internal/home"
	"waterlock/internal/report"
	"waterlock/internal/vault"
)

func receiptCommand(e *env) *cli.Command {
	return &cli.Command{
		Name:        "receipt",
		Usage:       "carry the vault's receipt by mail or over the network, without a drive",
		Subcommands: []*cli.Command{receiptExportCommand(e), receiptImportCommand(e), receiptShowCommand(e)},
	}
}

func receiptExportCommand(e *env) *cli.Command {
	return &cli.Command{
		Name:      "export",
		Usage:     "at the vault: write the newest receipt into a file",
		ArgsUsage: "FILE",
		Description: describe("A receipt is the vault's whole state towards home: what has arrived, and what it asks for. unpack\n"+
			"puts it onto the drive; this writes the newest one into a file of its own, to be mailed or copied,\n"+
			"before the drive is back, or because the drive was full or read-only. It is some kilobytes, or\n"+
			"megabytes where much is asked for. FILE - is the standard output. A receipt that lies there is\n"+
			"replaced, any other file is left alone. Where the vault sends its inventory with the receipt, that is\n"+
			"FILE.inventory, to be carried along.",
			"wl receipt export receipt",
			"wl receipt export - | ssh home wl receipt import -"),
		Flags: []cli.Flag{vaultFlag()},
		Action: func(c *cli.Context) error {
			if err := wantArgs(c, 1, 1); err != nil {
				return err
			}
			s, err := begin(c, e)
			if err != nil {
				return err
			}
			defer s.Close()
			dir, err := s.vaultPlace()
			if err != nil {
				return err
			}
			file := c.Args().First()
			if file == "-" && e.json {
				return exit.Errorf(exit.Usage, "with --json the standard output is for objects: name a file")
			}
			r, err := vault.ExportReceipt(dir, s)
			if err != nil {
				return err
			}
			if r.Inventory != "" && file == "-" {
				s.Warn("the inventory that goes with this receipt does not: name a file, and carry FILE.inventory along")
			} else if r.Inventory != "" {
				if err := writeInventory(file+inventorySuffix, r); err != nil {
					return err
				}
			}
			if file, err = writeReceipt(e, file, r.Bytes); err != nil {
				return err
			}
			s.Summary("receipt export", receiptExportSummary(file, r))
			if file != "-" {
				s.Info("Receipt %d of vault %s for route %s, of %s, is in %s (%s).", r.Receipt.Number, report.Name(r.Receipt.VaultName), r.Route,
					when(r.Receipt.Time), report.Name(file), report.Size(int64(len(r.Bytes))))
				if r.Inventory != "" {
					s.Info("Beside it lies the inventory that goes with it: %s (%s). Carry both.", report.Name(file+inventorySuffix),
						report.Size(courier.InventorySize(r.Receipt.Inventory.Count)))
				}
				s.Info("At home: wl receipt import %s", report.Name(filepath.Base(file)))
			}
			return end(r.Damaged, false)
		},
	}
}

// inventorySuffix is behind the name of a receipt's file in that of its inventory.
const inventorySuffix = ".inventory"

// writeInventory copies the inventory that goes with a receipt to where that is going to lie.
func writeInventory(file string, r vault.ExportedReceipt) error {
	file, err := filepath.Abs(file)
	if err != nil {
		return err
	}
	src, err := os.Open(r.Inventory)
	if err != nil {
		return err
	}
	defer src.Close() // was only read
	fsys, err := disk.Dir(filepath.Dir(file))
	if err != nil {
		return err
	}
	defer fsys.Close()
	return courier.WriteInventoryFile(fsys, filepath.Base(file), r.Receipt, src)
}

// writeReceipt writes a receipt into a file or to the standard output, and returns where it lies.
func writeReceipt(e *env, file string, b []byte) (string, error) {
	if file == "-" {
		_, err := e.out.Write(b)
		return file, err
	}
	file, err := filepath.Abs(file)
	if err != nil {
		return "", err
	}
	fsys, err := disk.Dir(filepath.Dir(file))
	if err != nil {
		return "", err
	}
	defer fsys.Close()
	if err := courier.WriteReceiptFile(fsys, filepath.Base(file), b); err != nil {
		return "", fmt.Errorf("%s: %w", report.Name(file), err)
	}
	return file, nil
}

// readReceipt reads a receipt from a file or from the standard input.
func readReceipt(e *env, file string) (b []byte, r *courier.Receipt, err error) {
	var in io.Reader = e.in
	if file != "-" {
		f, err := os.Open(file)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, nil, exit.With(exit.NotFound, err)
		} else if err != nil {
			return nil, nil, err
		}
		defer f.Close() // was only read
		in = f
	}
	if b, r, err = courier.ReadReceiptFile(in); err != nil {
		return nil, nil, fmt.Errorf("%s: %w", report.Name(file), err)
	}
	return b, r, nil
}

func receiptImportCommand(e *env) *cli.Command {
	return &cli.Command{
		Name:      "import",
		Usage:     "at home: believe a receipt that came without a drive",
		ArgsUsage: "FILE",
		Description: describe("Takes a receipt as pack takes the one on a drive: what it acknowledges is held by the vault, what it\n"+
			"asks for is carried by the next pack. The newest counts. One that is older, or that home has\n"+
			"already, changes nothing, which is said; so does one of another route (exit code 10), and one that\n"+
			"is damaged or no receipt at all (20). FILE - is the standard input.",
			"wl receipt import receipt",
			"ssh vault wl receipt export - | wl receipt import -"),
		Flags: []cli.Flag{routeFlag()},
		Action: func(c *cli.Context) error {
			if err := wantArgs(c, 1, 1); err != nil {
				return err
			}
			s, err := begin(c, e)
			if err != nil {
				return err
			}
			defer s.Close()
			b, r, err := readReceipt(e, c.Args().First())
			if err != nil {
				return err
			}
			ctx, ctrlC := cancelOnInterrupt(s.console)
			defer ctrlC.Release()
			res, err := home.ImportReceipt(ctx, home.ImportOptions{State: s.state, Route: c.String("route"), Receipt: r, Bytes: b,
				Inventory: c.Args().First() + inventorySuffix, Report: s})
			if err != nil {
				return stoppedBy(ctrlC, err)
			}
			s.Rest()
			s.Summary("receipt import", receiptImportSummary(res))
			tellImported(s, res)
			return nil
		},
	}
}

func tellImported(s *session, r home.ImportResult) {
	head := fmt.Sprintf("Receipt %d of vault %s for route %s, of %s", r.Receipt, report.Name(r.Vault), r.Route, when(r.Time))
	if r.CaughtUp {
		s.Info("%s. The inventory that goes with it has come, and counts now.", head)
		return
	}
	if !r.Taken {
		s.Info("%s: %s. Nothing changed; the newest is receipt %d, of %s.", head, r.Why, r.Known, when(r.KnownTime))
		return
	}
	s.Info("%s: it counts now.", head)
	for _, sh := range r.Shipments {
		from := "a drive that home does not know"
		if sh.DriveID != "" {
			from = driveName(sh.Drive, sh.DriveID)
		}
		how := "all of it"
		if !sh.All {
			how = "a part of it; the rest is carried again"
		}
		s.Info("  arrived: snapshot %d, from %s: %s", sh.Snapshot, from, how)
	}
	if len(r.Shipments) == 0 {
		s.Info("It acknowledges no more than those before it.")
	}
	if r.Arrived > 0 {
		s.Info("Newest snapshot that has arrived: %d.", r.Arrived)
	}
	if r.Wants > 0 {
		s.Info("The vault asks for %s: the next wl pack carries %s.", chunks(r.Wants), them(r.Wants))
	}
}

func receiptShowCommand(e *env) *cli.Command {
	return &cli.Command{
		Name:      "show",
		Usage:     "say what a receipt says",
		ArgsUsage: "FILE",
		Description: describe("Checks a receipt that lies in a file, here, on a drive or among those that either end keeps, and says\n"+
			"what it says. Nothing changes. FILE - is the standard input; -v lists the shipments and what is\n"+
			"asked for one by one.",
			"wl receipt show receipt",
			"wl receipt show -v /mnt/courier/waterlock/*/receipts/7-*.receipt"),
		Action: func(c *cli.Context) error {
			if err := wantArgs(c, 1, 1); err != nil {
				return err
			}
			s, err := begin(c, e)
			if err != nil {
				return err
			}
			defer s.Close()
			b, r, err := readReceipt(e, c.Args().First())
			if err != nil {
				return err
			}
			s.Summary("receipt show", receiptShowSummary(r))
			s.Answer("%s", receiptText(r, len(b), c.Bool("verbose")))
			return nil
		},
	}
}

// receiptText is a receipt in words.
func receiptText(r *courier.Receipt, size int, all bool) string {
	var b bytes.Buffer
	fmt.Fprintf(&b, "Receipt %d of vault %s for route %s, of %s (%s).\n", r.Number, report.Name(r.VaultName), r.Route, when(r.Time), report.Size(int64(size)))
	fmt.Fprintf(&b, "Epoch %s. The newest snapshot known there is %d, the newest that has arrived %d.\n", r.Epoch, r.HighestSnapshot, r.NewestArrived)
	full := 0
	for i := range r.Taken {
		if r.Taken[i].All {
			full++
		}
	}
	fmt.Fprintf(&b, "It acknowledges %s, %d of them in full.\n", report.Count(int64(len(r.Taken)), "shipment"), full)
	if all {
		for i := range r.Taken {
			t := &r.Taken[i]
			fmt.Fprintf(&b, "  snapshot %d, shipment %s: %d of %d records\n", t.Number, t.Shipment, arrivedRecords(t), t.Records)
		}
	}
	fmt.Fprintf(&b, "Asked for: %s. Awaited from shipments under way: %s. Condemned: %s.\n",
		chunks(int64(len(r.Wants))), chunks(int64(min(r.Awaited, 1<<62))), chunks(int64(len(r.Condemned))))
	if all {
		for i := range r.Wants {
			w := &r.Wants[i]
			fmt.Fprintf(&b, "  asked for: %v chunk %s", w.Kind, w.ID)
			if w.Path != "" {
				fmt.Fprintf(&b, ", of %s in snapshot %d", report.Name(w.Path), w.Snapshot)
			}
			fmt.Fprintln(&b)
		}
	}
	if r.Cleared > 0 {
		fmt.Fprintf(&b, "The mirror has followed every deletion up to snapshot %d.\n", r.Cleared)
	}
	if !r.Inventory.IsZero() {
		fmt.Fprintf(&b, "An inventory of %s goes with it.\n", chunks(int64(min(r.Inventory.Count, 1<<62))))
	}
	if r.ReadSince.IsZero() {
		fmt.Fprintln(&b, "When all that is there was last read is not known.")
	} else {
		fmt.Fprintf(&b, "All that is there was read on %s or later.\n", when(r.ReadSince))
	}
	fmt.Fprintf(&b, "Free there: %s of %s.", report.Size(r.Free), report.Size(r.Total))
	return b.String()
}

func arrivedRecords(t *courier.Taken) (n int64) {
	if t.All {
		return int64(t.Records)
	}
	for i := range t.Records {
		if t.Arrived(i) {
			n++
		}
	}
	return n
}
