package courier

import (
	"context"
	"errors"
	"strings"
	"testing"

	"waterlock/internal/chunk"
	"waterlock/internal/disk"
	"waterlock/internal/disk/disktest"
	"waterlock/internal/report"
)

// verifyDrive is a drive with two committed shipments, an open one, a receipt.
func verifyDrive(t *testing.T) (*disktest.Mem, *Drive) {
	m, d := newDrive(t)
	for i, id := range []ShipmentID{testShip, {200}} {
		_, err := d.WriteCommit(encodeCommit(t, newShipment(t, d, id, uint64(4+i))))
		must(t, err)
	}
	dir, err := d.CreateShipment(testRoute, ShipmentID{201})
	must(t, err)
	addPack(t, d, dir, "000001.pack", chunk.Data, 1, 1)
	_, err = d.WriteReceipt(encodeReceipt(t, plainReceipt(8)))
	must(t, err)
	return m, d
}

func TestVerifyFindsNothingWrong(t *testing.T) {
	_, d := verifyDrive(t)
	var rec report.Recorder
	got, err := VerifyDrive(context.Background(), d, &rec)
	must(t, err)
	want := VerifyResult{Shipments: 2, Open: 1, Files: 6, Records: 26, Bytes: got.Bytes, Warm: got.Warm}
	if got != want || len(rec.Problems()) > 0 || got.Bytes == 0 {
		t.Fatalf("%+v, want %+v; %v", got, want, rec.Problems())
	}
	if bytes, files := rec.Added(); bytes != got.Bytes || files != 6 {
		t.Fatal(bytes, files)
	}
}

func TestVerifyNamesWhatIsDamaged(t *testing.T) {
	dir := ShipmentDir(testRoute, testShip)
	one := dir + "/000001.pack"
	for name, c := range map[string]struct {
		spoil func(m *disktest.Mem)
		want  VerifyResult // counts of what is wrong only
		names []string
	}{
		"a chunk": {
			func(m *disktest.Mem) { flipByte(t, m, one, 400) },
			VerifyResult{DamagedFiles: 1, DamagedChunks: 1, Problems: 2}, []string{one, "digest", "chunk"},
		},
		"a header": {
			func(m *disktest.Mem) { flipByte(t, m, one, 3) },
			VerifyResult{DamagedFiles: 1, Problems: 2}, []string{one, "header"},
		},
		"a missing pack": {
			func(m *disktest.Mem) { must(t, m.Remove(one)) },
			VerifyResult{MissingFiles: 1, DamagedChunks: 9, Problems: 1}, []string{one, "missing", "9 chunks"},
		},
		"an empty pack": {
			func(m *disktest.Mem) { truncate(t, m, one, 0) },
			VerifyResult{DamagedFiles: 1, DamagedChunks: 9}, []string{one, "0 bytes", "9 chunks"},
		},
		"half a pack": {
			func(m *disktest.Mem) { truncate(t, m, one, 1700) },
			VerifyResult{DamagedFiles: 1}, []string{one, "1700 bytes", "cannot be found"},
		},
		"a commit": {
			func(m *disktest.Mem) {
				names, err := m.ReadDir(dir)
				must(t, err)
				for i := range names.Len() {
					if commitPattern.MatchString(names.At(i)) {
						flipByte(t, m, dir+"/"+names.At(i), 60)
					}
				}
			},
			VerifyResult{DamagedFiles: 1, Problems: 1}, []string{dir, ".commit", "checksum"},
		},
		"a receipt": {
			func(m *disktest.Mem) {
				flipByte(t, m, receiptsOf(testRoute)+"/"+ReceiptName(8, encodeReceipt(t, plainReceipt(8))), 60)
			},
			VerifyResult{DamagedFiles: 1, Problems: 1}, []string{".receipt", "checksum"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			m, d := verifyDrive(t)
			c.spoil(m)
			var rec report.Recorder
			got, err := VerifyDrive(context.Background(), d, &rec)
			must(t, err)
			if got.DamagedFiles != c.want.DamagedFiles || got.MissingFiles != c.want.MissingFiles ||
				c.want.DamagedChunks > 0 && got.DamagedChunks != c.want.DamagedChunks || c.want.Problems > 0 && got.Problems != c.want.Problems {
				t.Errorf("%+v, want %+v", got, c.want)
			}
			var all strings.Builder
			for _, p := range rec.Problems() {
				all.WriteString(p.String() + "\n")
			}
			for _, s := range c.names {
				if !strings.Contains(all.String(), s) {
					t.Errorf("%q is not named in:\n%s", s, all.String())
				}
			}
			if int64(len(rec.Problems())) != got.Problems || got.Problems == 0 {
				t.Error(got.Problems, rec.Problems())
			}
		})
	}
}

func truncate(t *testing.T, m disk.FS, name string, size int64) {
	f, err := m.OpenWrite(name)
	must(t, err)
	must(t, f.Truncate(size))
	must(t, f.Close())
}

func TestVerifyStopsWhenAsked(t *testing.T) {
	_, d := verifyDrive(t)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := VerifyDrive(ctx, d, report.Discard); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
}

// TestEveryFlippedByteOfAPackIsFound: nothing on the drive rots unseen.
func TestEveryFlippedByteOfAPackIsFound(t *testing.T) {
	m, d := newDrive(t)
	c := newShipment(t, d, testShip, 4)
	c.Files = c.Files[:1]
	_, err := d.WriteCommit(encodeCommit(t, c))
	must(t, err)
	name := ShipmentDir(testRoute, testShip) + "/" + c.Files[0].Name
	st, err := m.Stat(name)
	must(t, err)
	for at := range st.Size {
		flipByte(t, m, name, at)
		got, err := VerifyDrive(context.Background(), d, report.Discard)
		must(t, err)
		if got.DamagedFiles != 1 {
			t.Fatalf("byte %d: %+v", at, got)
		}
		flipByte(t, m, name, at)
	}
}
