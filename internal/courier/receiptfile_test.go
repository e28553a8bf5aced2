package courier

import (
	"bytes"
	"errors"
	"io/fs"
	"testing"

	"waterlock/internal/disk"
	"waterlock/internal/disk/disktest"
	"waterlock/internal/exit"
)

// TestAReceiptFileReplacesReceiptsOnly: what lies at its name and is no receipt stays, and what is written is read back.
func TestAReceiptFileReplacesReceiptsOnly(t *testing.T) {
	first, second := encodeReceipt(t, newReceipt(8)), encodeReceipt(t, newReceipt(9))
	m := disktest.NewMem()
	for _, b := range [][]byte{first, first, second} {
		if err := WriteReceiptFile(m, "mail", b); err != nil {
			t.Fatal(err)
		}
		got, err := disk.ReadAll(m.Crashed(disktest.Strict, 0), "mail", MaxReceipt)
		if err != nil || !bytes.Equal(got, b) {
			t.Fatalf("after a crash: %d bytes, %v", len(got), err)
		}
		if _, r, err := ReadReceiptFile(bytes.NewReader(got)); err != nil || r.Number == 0 {
			t.Fatal(err)
		}
	}
	for name, data := range map[string][]byte{"text": []byte("Dear home,"), "empty": nil, "damaged": append(bytes.Clone(first), 0)} {
		if err := disk.Put(m, name, data); err != nil {
			t.Fatal(err)
		}
		if err := WriteReceiptFile(m, name, first); !errors.Is(err, fs.ErrExist) {
			t.Errorf("%s: %v", name, err)
		}
		if got, err := disk.ReadAll(m, name, 1<<20); err != nil || !bytes.Equal(got, data) {
			t.Errorf("%s is now %q, %v", name, got, err)
		}
		if _, _, err := ReadReceiptFile(bytes.NewReader(data)); !errors.Is(err, ErrReceipt) || exit.Of(err) != exit.Corrupt {
			t.Errorf("%s: %v", name, err)
		}
	}
}
