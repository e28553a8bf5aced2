package index

import "waterlock/internal/chunk"

// Catalog is the vault's index: where each chunk lies.
// All methods may be called from several goroutines at once.
type Catalog struct{}

// Stats counts the rows of a catalog.
type Stats struct {
	Places, Containers, Paths, Wants, Checked int64
}

func OpenCatalog(dir string) (c *Catalog, fresh bool, err error)              { panic("unwritten") }
func (c *Catalog) Close() error                                               { panic("unwritten") }
func (c *Catalog) Batch() *Batch                                              { panic("unwritten") }
func (c *Catalog) Places(id chunk.ID) ([]Place, error)                        { panic("unwritten") }
func (c *Catalog) Has(id chunk.ID) (bool, error)                              { panic("unwritten") }
func (c *Catalog) Container(id ContainerID) (Container, bool, error)          { panic("unwritten") }
func (c *Catalog) Containers(fn func(Container) error) error                  { panic("unwritten") }
func (c *Catalog) Path(tree, path string) (PathRow, bool, error)              { panic("unwritten") }
func (c *Catalog) Paths(tree string) *PathIter                                { panic("unwritten") }
func (c *Catalog) Group(tree string, group uint64) (ContainerID, bool, error) { panic("unwritten") }
func (c *Catalog) Wants(fn func(chunk.ID, Want) error) error                  { panic("unwritten") }
func (c *Catalog) Want(id chunk.ID) (Want, bool, error)                       { panic("unwritten") }
func (c *Catalog) PutDrive(places []DrivePlace) error                         { panic("unwritten") }
func (c *Catalog) Drive(id chunk.ID) (DrivePlace, bool, error)                { panic("unwritten") }
func (c *Catalog) DropDrive(id chunk.ID, pack uint32) error                   { panic("unwritten") }
func (c *Catalog) ClearDrive() error                                          { panic("unwritten") }
func (c *Catalog) Checked(id chunk.ID) (bool, error)                          { panic("unwritten") }
func (c *Catalog) Arrived(snapshot uint64) (bool, error)                      { panic("unwritten") }
func (c *Catalog) ForgetChecks() error                                        { panic("unwritten") }
func (c *Catalog) NextContainer() ContainerID                                 { panic("unwritten") }
func (c *Catalog) RaiseContainer(id ContainerID)                              { panic("unwritten") }
func (c *Catalog) Meta(key string) ([]byte, error)                            { panic("unwritten") }
func (c *Catalog) Stats() (Stats, error)                                      { panic("unwritten") }

// ContainerChunks calls fn for each chunk of a container in order of offset.
func (c *Catalog) ContainerChunks(id ContainerID, fn func(offset int64, id chunk.ID, plainLen uint32) error) error {
	panic("unwritten")
}

// PathIter goes through the paths of one tree in tree order.
type PathIter struct{}

func (it *PathIter) Next() (path string, row PathRow, ok bool) { panic("unwritten") }
func (it *PathIter) Err() error                                { panic("unwritten") }
func (it *PathIter) Close()                                    { panic("unwritten") }

// Batch gathers changes of the catalog.
type Batch struct{}

func (b *Batch) AddPlace(id chunk.ID, p Place)                      { panic("unwritten") }
func (b *Batch) DropPlace(id chunk.ID, container ContainerID)       { panic("unwritten") }
func (b *Batch) PutContainer(c Container)                           { panic("unwritten") }
func (b *Batch) DropContainer(id ContainerID)                       { panic("unwritten") }
func (b *Batch) PutPath(tree, path string, row PathRow)             { panic("unwritten") }
func (b *Batch) DropPath(tree, path string)                         { panic("unwritten") }
func (b *Batch) PutGroup(tree string, group uint64, id ContainerID) { panic("unwritten") }
func (b *Batch) DropGroup(tree string, group uint64)                { panic("unwritten") }
func (b *Batch) PutWant(id chunk.ID, w Want)                        { panic("unwritten") }
func (b *Batch) DropWant(id chunk.ID)                               { panic("unwritten") }
func (b *Batch) PutChecked(id chunk.ID)                             { panic("unwritten") }
func (b *Batch) PutArrived(snapshot uint64)                         { panic("unwritten") }
func (b *Batch) SetMeta(key string, value []byte)                   { panic("unwritten") }
func (b *Batch) Commit() error                                      { panic("unwritten") }
