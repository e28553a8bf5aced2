package vault

import (
	"context"
	"errors"
	"io"
	"path"

	"waterlock/internal/chunk"
	"waterlock/internal/courier"
	"waterlock/internal/disk"
	"waterlock/pack"
)

// salvage reads the packs that an interrupted run left, every byte. Those that are whole count, the others go; lists of
// files are written anew.
func (p *returnPacker) salvage(ctx context.Context, names []string) error {
	p.h.rep.Phase("what an interrupted run left", 0, 0)
	for _, name := range names {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		ref, keys, err := p.readPack(ctx, name)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err == nil && p.records+len(keys) > maxReturnRecords/4*3 {
			err = errors.New("the return has enough records")
		}
		if err != nil {
			p.h.rep.Verbose("%s: written anew: %v", name, err)
			if err := p.h.drive.FS().Remove(p.dir + "/" + name); err != nil {
				return err
			}
			continue
		}
		p.files = append(p.files, ref)
		p.records += len(keys)
		for _, k := range keys {
			p.set[k] = struct{}{}
		}
		p.next[chunk.Data] = max(p.next[chunk.Data], courier.PackNumber(name)+1)
	}
	return nil
}

var errAnew = errors.New("lists of files are always written anew")

func (p *returnPacker) readPack(ctx context.Context, name string) (ref courier.FileRef, keys []chunkKey, err error) {
	if path.Ext(name) != ".pack" {
		return ref, nil, errAnew
	}
	fsys := p.h.drive.FS()
	f, err := fsys.OpenWrite(p.dir + "/" + name)
	if err != nil {
		return ref, nil, err
	}
	err = f.Sync()
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return ref, nil, err
	}
	ref = courier.FileRef{Name: name, Kind: chunk.Data}
	ref.ReadBack, err = disk.ReadBack(fsys, p.dir+"/"+name, func(f disk.File) error {
		st, err := f.Stat()
		if err != nil {
			return err
		}
		r, err := pack.Open(f, st.Size)
		if err != nil {
			return err
		}
		if r.Kind() != chunk.Data {
			return errors.New("a pack of the other kind")
		}
		var buf []byte
		for _, place := range r.Places() {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			plain, err := r.Read(place, buf)
			if err != nil {
				return err
			}
			if cap(plain) > cap(buf) {
				buf = plain
			}
			keys = append(keys, keyOf(place.ID))
		}
		ref.Size, ref.Records = st.Size, uint32(len(keys))
		d := chunk.NewDigester()
		if _, err := io.Copy(d, io.NewSectionReader(f, 0, st.Size)); err != nil {
			return err
		}
		ref.Digest = d.Sum()
		if len(keys) == 0 {
			return errors.New("it is empty")
		}
		return nil
	})
	if err != nil {
		return ref, nil, err
	}
	return ref, keys, fsys.SyncDir(p.dir)
}
