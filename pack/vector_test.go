package pack

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"testing"

	"waterlock/internal/chunk"
)

var update = flag.Bool("update", false, "write the packs in testdata anew")

func vectorPlains(k chunk.Kind) [][]byte {
	return [][]byte{
		[]byte("a chunk of one line, stored raw\n"),
		bytes.Repeat([]byte(fmt.Sprintf("a %v chunk that compresses; ", k)), 100),
		{0},
		make([]byte, 64<<10),
		random(9, 1000),
	}
}

// The vectors were written by version 1 and are read for ever. With -update
// they are written anew, which only another version may do.
func TestPackVectorsV1AreRead(t *testing.T) {
	for _, k := range []chunk.Kind{chunk.Data, chunk.Stream} {
		name := fmt.Sprintf("testdata/v1-%v.pack", k)
		plains := vectorPlains(k)
		if *update {
			if err := os.MkdirAll("testdata", 0o755); err != nil {
				t.Fatal(err)
			}
			b := build(t, k, [16]byte{'v', '1', 15: byte(k)}, plains...)
			if err := os.WriteFile(name, b.file, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		file, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		rd, err := Open(reader(file))
		if err != nil {
			t.Fatal(err)
		}
		if rd.Kind() != k || rd.PackID() != [16]byte{'v', '1', 15: byte(k)} || len(rd.Places()) != len(plains) {
			t.Errorf("%s: kind %v, pack %x, %d records", name, rd.Kind(), rd.PackID(), len(rd.Places()))
		}
		checkAll(t, built{Summary{Places: rd.Places()}, file, plains}, file)
		for i, p := range rd.Places() {
			if plain, err := rd.Read(p, nil); err != nil || !bytes.Equal(plain, plains[i]) {
				t.Errorf("%s: record %d: %v", name, i+1, err)
			}
		}
	}
}
