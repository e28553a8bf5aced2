package machine

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"waterlock/internal/exit"
)

func TestSeenThingsAreRemembered(t *testing.T) {
	state := filepath.Join(t.TempDir(), "a", "state")
	now := time.Now().UTC().Truncate(time.Second)
	if err := SawDrive(state, Drive{ID: "1", Label: "red", Path: "/mnt/c", LastSeen: now}); err != nil {
		t.Fatal(err)
	}
	if err := SawVault(state, Vault{Path: "/srv/vault", Route: "r", Name: "home", LastSeen: now}); err != nil {
		t.Fatal(err)
	}
	k := Load(state)
	if p, err := k.OnlyDrive(); err != nil || p != "/mnt/c" {
		t.Errorf("OnlyDrive() = %q, %v", p, err)
	}
	if p, err := k.OnlyVault(); err != nil || p != "/srv/vault" {
		t.Errorf("OnlyVault() = %q, %v", p, err)
	}
	if !k.Drives[0].LastSeen.Equal(now) {
		t.Errorf("last seen %v, want %v", k.Drives[0].LastSeen, now)
	}
	left, err := filepath.Glob(filepath.Join(state, "*.tmp"))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
}

func TestADriveThatMovedIsOneDrive(t *testing.T) {
	state := t.TempDir()
	for _, path := range []string{"/mnt/a", "/mnt/b"} {
		if err := SawDrive(state, Drive{ID: "1", Path: path}); err != nil {
			t.Fatal(err)
		}
	}
	if p, err := Load(state).OnlyDrive(); err != nil || p != "/mnt/b" {
		t.Errorf("OnlyDrive() = %q, %v", p, err)
	}
}

func TestDrivesThatTakeTurnsAtOneMountPointAreOnePlace(t *testing.T) {
	k := Known{Drives: []Drive{{ID: "1", Path: "/mnt/c"}, {ID: "2", Path: "/mnt/c"}}}
	if p, err := k.OnlyDrive(); err != nil || p != "/mnt/c" {
		t.Errorf("OnlyDrive() = %q, %v", p, err)
	}
}

func TestNoneAndSeveral(t *testing.T) {
	if _, err := (Known{}).OnlyDrive(); exit.Of(err) != exit.NotFound {
		t.Errorf("no drive known: %v", err)
	}
	k := Known{Vaults: []Vault{{Path: "/a"}, {Path: "/b"}}}
	_, err := k.OnlyVault()
	if exit.Of(err) != exit.Usage || !strings.Contains(err.Error(), "--vault") {
		t.Errorf("two vaults known: %v", err)
	}
}

func TestDamagedFileIsNothingKnown(t *testing.T) {
	state := t.TempDir()
	for _, text := range []string{"", "{", "[]", `{"format": 2, "drives": [{"path": "/x"}]}`} {
		if err := os.WriteFile(filepath.Join(state, fileName), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if k := Load(state); len(k.Drives)+len(k.Vaults) > 0 {
			t.Errorf("Load of %q = %v", text, k)
		}
	}
	if err := SawDrive(state, Drive{ID: "1", Path: "/x"}); err != nil {
		t.Fatal(err)
	}
	if len(Load(state).Drives) != 1 {
		t.Error("a damaged file was not replaced")
	}
}

func TestRoutes(t *testing.T) {
	state := t.TempDir()
	if _, err := OnlyRoute(state); exit.Of(err) != exit.NotFound {
		t.Errorf("no route: %v", err)
	}
	for _, dir := range []string{"routes/main", "routes/half-made"} {
		if err := os.MkdirAll(filepath.Join(state, dir), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(state, "routes/main/route.toml"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if r, err := OnlyRoute(state); err != nil || r != "main" {
		t.Errorf("OnlyRoute() = %q, %v", r, err)
	}
}

func TestDefaultState(t *testing.T) {
	t.Setenv("XDG_STATE_HOME", "/xdg")
	if d, err := DefaultState(); err != nil || d != filepath.FromSlash("/xdg/wl") {
		t.Errorf("DefaultState() = %q, %v", d, err)
	}
	t.Setenv("XDG_STATE_HOME", "relative")
	t.Setenv("HOME", "/h")
	if d, err := DefaultState(); err != nil || d != "/h/.local/state/wl" {
		t.Errorf("DefaultState() = %q, %v", d, err)
	}
}
