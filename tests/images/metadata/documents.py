"""XMP packets built as the documents of the formats, and of the programs, describe them."""

RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
_ADDRESSES = """
    xmlns:mwg-rs="http://www.metadataworkinggroup.com/schemas/regions/"
    xmlns:stArea="http://ns.adobe.com/xmp/sType/Area#"
    xmlns:stDim="http://ns.adobe.com/xap/1.0/sType/Dimensions#"
    xmlns:MP="http://ns.microsoft.com/photo/1.2/"
    xmlns:MPRI="http://ns.microsoft.com/photo/1.2/t/RegionInfo#"
    xmlns:MPReg="http://ns.microsoft.com/photo/1.2/t/Region#"
    xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/"
    xmlns:dc="http://purl.org/dc/elements/1.1/"
    xmlns:xmp="http://ns.adobe.com/xap/1.0/"
    xmlns:photoshop="http://ns.adobe.com/photoshop/1.0/"
"""


def packet(body, attributes="", wrapped=True):
    """Return a packet with a property or several."""
    meta = (
        f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="{RDF}">'
        f'<rdf:Description rdf:about="" {_ADDRESSES} {attributes}>{body}</rdf:Description>'
        "</rdf:RDF></x:xmpmeta>"
    )
    if not wrapped:
        return meta.encode()
    begin = '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>'
    return f'{begin}{meta}{" " * 2000}<?xpacket end="w"?>'.encode()


# Metadata Working Group, Guidelines for Handling Image Metadata 2.0, the example of Image Regions:
# structures as elements; the third region is no face.
GUIDELINES = """
<mwg-rs:Regions rdf:parseType="Resource">
 <mwg-rs:AppliedToDimensions rdf:parseType="Resource">
  <stDim:w>4288</stDim:w><stDim:h>2848</stDim:h><stDim:unit>pixel</stDim:unit>
 </mwg-rs:AppliedToDimensions>
 <mwg-rs:RegionList><rdf:Bag>
  <rdf:li rdf:parseType="Resource">
   <mwg-rs:Area rdf:parseType="Resource">
    <stArea:x>0.5</stArea:x><stArea:y>0.5</stArea:y>
    <stArea:w>0.06</stArea:w><stArea:h>0.09</stArea:h><stArea:unit>normalized</stArea:unit>
   </mwg-rs:Area>
   <mwg-rs:Type>Face</mwg-rs:Type><mwg-rs:Name>John Doe</mwg-rs:Name>
   <mwg-rs:Description>John Doe's face</mwg-rs:Description>
  </rdf:li>
  <rdf:li rdf:parseType="Resource">
   <mwg-rs:Area stArea:x="0.25" stArea:y="0.25" stArea:d="0.1" stArea:unit="normalized"/>
   <mwg-rs:Type>Face</mwg-rs:Type><mwg-rs:Name>Jane Doe</mwg-rs:Name>
  </rdf:li>
  <rdf:li rdf:parseType="Resource">
   <mwg-rs:Area stArea:x="0.5" stArea:y="0.8" stArea:w="0.1" stArea:h="0.1"/>
   <mwg-rs:Type>Pet</mwg-rs:Type><mwg-rs:Name>Fido</mwg-rs:Name>
  </rdf:li>
 </rdf:Bag></mwg-rs:RegionList>
</mwg-rs:Regions>"""

# digiKam, documentation of "Metadata Settings": regions of MWG and of Microsoft for each face, and
# tags. The same face in both, with the same name.
DIGIKAM = """
<mwg-rs:Regions rdf:parseType="Resource">
 <mwg-rs:AppliedToDimensions stDim:w="4000" stDim:h="3000" stDim:unit="pixel"/>
 <mwg-rs:RegionList><rdf:Bag><rdf:li><rdf:Description mwg-rs:Name="Ann" mwg-rs:Type="Face">
  <mwg-rs:Area stArea:x="0.5" stArea:y="0.25" stArea:w="0.1" stArea:h="0.2"
   stArea:unit="normalized"/></rdf:Description></rdf:li></rdf:Bag></mwg-rs:RegionList>
</mwg-rs:Regions>
<MP:RegionInfo rdf:parseType="Resource"><MPRI:Regions><rdf:Bag>
 <rdf:li MPReg:PersonDisplayName="Ann" MPReg:Rectangle="0.45, 0.15, 0.1, 0.2"/>
 <rdf:li MPReg:PersonDisplayName="Bo"/>
</rdf:Bag></MPRI:Regions></MP:RegionInfo>
<dc:subject><rdf:Bag><rdf:li>Ann</rdf:li></rdf:Bag></dc:subject>"""

# What cameras of Apple write: a list with an order, and faces without a name.
APPLE = """
<mwg-rs:Regions rdf:parseType="Resource"><mwg-rs:RegionList><rdf:Seq>
 <rdf:li rdf:parseType="Resource"><mwg-rs:Area rdf:parseType="Resource">
  <stArea:y>0.4</stArea:y><stArea:w>0.1</stArea:w><stArea:x>0.3</stArea:x><stArea:h>0.2</stArea:h>
  <stArea:unit>normalized</stArea:unit></mwg-rs:Area><mwg-rs:Type>Face</mwg-rs:Type></rdf:li>
</rdf:Seq></mwg-rs:RegionList></mwg-rs:Regions>"""

# IPTC Photo Metadata Standard 2023.2, Image Region, and PersonInImage.
IPTC = """
<Iptc4xmpExt:ImageRegion><rdf:Bag>
 <rdf:li rdf:parseType="Resource">
  <Iptc4xmpExt:RegionBoundary rdf:parseType="Resource">
   <Iptc4xmpExt:rbShape>rectangle</Iptc4xmpExt:rbShape>
   <Iptc4xmpExt:rbUnit>relative</Iptc4xmpExt:rbUnit>
   <Iptc4xmpExt:rbX>0.25</Iptc4xmpExt:rbX><Iptc4xmpExt:rbY>0.5</Iptc4xmpExt:rbY>
   <Iptc4xmpExt:rbW>0.125</Iptc4xmpExt:rbW><Iptc4xmpExt:rbH>0.25</Iptc4xmpExt:rbH>
  </Iptc4xmpExt:RegionBoundary>
  <Iptc4xmpExt:PersonInImage><rdf:Bag><rdf:li>Ann</rdf:li></rdf:Bag></Iptc4xmpExt:PersonInImage>
 </rdf:li>
</rdf:Bag></Iptc4xmpExt:ImageRegion>
<Iptc4xmpExt:PersonInImage><rdf:Bag><rdf:li>Ann</rdf:li><rdf:li>Bo</rdf:li></rdf:Bag>
</Iptc4xmpExt:PersonInImage>
<Iptc4xmpExt:PersonInImageWDetails><rdf:Bag><rdf:li rdf:parseType="Resource">
 <Iptc4xmpExt:PersonName><rdf:Alt><rdf:li xml:lang="x-default">Cy</rdf:li></rdf:Alt>
 </Iptc4xmpExt:PersonName></rdf:li></rdf:Bag></Iptc4xmpExt:PersonInImageWDetails>"""


def region(name="Ann", kind="Face", size='stDim:w="400" stDim:h="300"', **area):
    """Return one MWG region with these fields of its area."""
    fields = " ".join(f'stArea:{key}="{value}"' for key, value in area.items())
    applied = f"<mwg-rs:AppliedToDimensions {size}/>" if size else ""
    return (
        f'<mwg-rs:Regions rdf:parseType="Resource">{applied}<mwg-rs:RegionList><rdf:Bag>'
        f'<rdf:li rdf:parseType="Resource" mwg-rs:Name="{name}" mwg-rs:Type="{kind}">'
        f"<mwg-rs:Area {fields}/></rdf:li></rdf:Bag></mwg-rs:RegionList></mwg-rs:Regions>"
    )


PICASA = b"""[Picasa]
name=Birthday
[a.jpg]
star=yes
faces=rect64(3f845bcb59418507),8e62398ebda8c1a5;rect64(9eb15e89b6b584c1),d10a8325c557b085
backuphash=25408
[B.JPG]
faces=rect64(1000200030004),8e62398ebda8c1a5
[c[1].jpg]
faces=rect64(8000800090009000),ffffffffffffffff;rect64(0),1;junk
[Contacts]
8e62398ebda8c1a5=joedoe_lh,4bd750800fb6a6b8
[Contacts2]
8e62398ebda8c1a5=J\xc3\xb6rg;;
d10a8325c557b085=Ann;ann@example.org;4bd7
"""
