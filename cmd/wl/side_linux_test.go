package main

import (
	"bytes"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// Other drives may be mounted on the machine of the test; then all are named.
func TestRunFindsTheMountedDriveByItself(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("mounting needs root")
	}
	state, src, mnt := t.TempDir(), t.TempDir(), t.TempDir()+"/my drive"
	if err := os.Mkdir(mnt, 0o755); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size=8m", "wl-test", mnt).CombinedOutput(); err != nil {
		t.Skipf("no tmpfs can be mounted here: %v: %s", err, out)
	}
	defer exec.Command("umount", mnt).Run()
	wl := func(state string, args ...string) (code int, said string) {
		var out bytes.Buffer
		code = int(run(append([]string{"wl", "--state", state}, args...), nil, &out, &out))
		return code, out.String()
	}
	// A folder of that name alone is no drive.
	if err := os.Mkdir(mnt+"/waterlock", 0o755); err != nil {
		t.Fatal(err)
	}
	if code, said := wl(state, "init", "--name", "r", src); code != 0 {
		t.Fatal(said)
	}
	if code, said := wl(state, "run"); code == 0 || strings.Contains(said, mnt) {
		t.Fatalf("%d: %s", code, said)
	}
	// The drive is made with a state of its own, so that nobody remembers it.
	if code, said := wl(t.TempDir(), "drive", "init", mnt, "--label", "red"); code != 0 {
		t.Fatal(said)
	}
	drive, err := os.ReadFile(mnt + "/waterlock/drive.json")
	if err != nil {
		t.Fatal(err)
	}
	bad := func(content []byte) {
		t.Helper()
		if err := os.WriteFile(mnt+"/waterlock/drive.json", content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	// One that cannot be used is not passed over in silence.
	bad([]byte("{}"))
	if _, said := wl(state, "run", "--dry-run"); !strings.Contains(said, mnt+"/waterlock/drive.json: invalid drive.json") {
		t.Errorf("a damaged drive.json is not named: %s", said)
	}
	bad(drive)
	code, said := wl(state, "run", "--reserve", "0")
	if !strings.Contains(said, "drive red") || !strings.Contains(said, mnt) {
		t.Errorf("%d: %s", code, said)
	}
	if code != 0 && !strings.Contains(said, "several courier drives") {
		t.Errorf("%d: %s", code, said)
	}
}
